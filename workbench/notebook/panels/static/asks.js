// How a panel asks its kernel: a message goes there under a number, and one answer comes back under it. The answer is
// {value}, or {problem, hint}; a promise never fails, so that no page stops at a question.
function asks(model) {
  const waiting = new Map();
  // Several views of one model hear the same answers: each counts from somewhere else.
  let number = Math.floor(Math.random() * 2 ** 40);
  function hear(message) {
    const resolve = waiting.get(message?.answer);
    if (!resolve) return;
    waiting.delete(message.answer);
    resolve(message);
  }
  model.on("msg:custom", hear);
  function ask(message) {
    return new Promise((resolve) => {
      number += 1;
      waiting.set(number, resolve);
      try {
        model.send({ ...message, ask: number });
      } catch (error) {
        waiting.delete(number);
        resolve({ problem: "The kernel does not answer: nothing was done.", hint: "Show the panel anew." });
      }
    });
  }
  return { ask, close: () => model.off("msg:custom", hear) };
}

// What `resultsView` asks by: the answer itself, with `error` where there is none.
function asksFor(ask, more = {}) {
  return async (message) => {
    const { value, problem, hint } = await ask({ do: "result", message, ...more });
    return value ?? { error: problem, hint };
  };
}

// A function that is called when there was peace for so many milliseconds.
function calmly(milliseconds, call) {
  let timer = null;
  const later = (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...values), milliseconds);
  };
  later.stop = () => clearTimeout(timer);
  later.now = (...values) => {
    clearTimeout(timer);
    call(...values);
  };
  return later;
}

// What went wrong, in a line, and what to do about it in a second. Read aloud when it comes.
function troubleLine() {
  const problem = make("span");
  const hint = make("span", { class: "hint" });
  const node = make("p", { class: "trouble", role: "alert", hidden: true }, problem, hint);
  return {
    node,
    show(answer) {
      const said = answer?.problem || "";
      setText(problem, said ? `✗ ${said}` : "");
      setText(hint, answer?.hint ? ` → ${answer.hint}` : "");
      node.hidden = !said;
      return !said;
    },
  };
}

// A field under its name. `options.hint` is said beside it and read aloud with it.
let labelledCount = 0;
function labelled(name, field, hint = "") {
  labelledCount += 1;
  const id = `workbench-field-${labelledCount}-${Math.floor(Math.random() * 2 ** 30)}`;
  field.id = id;
  const node = make("div", { class: "field" }, make("label", { for: id, text: name }), field);
  if (hint) {
    field.setAttribute("aria-describedby", `${id}-hint`);
    node.append(make("span", { class: "hint", id: `${id}-hint`, text: hint }));
  }
  return node;
}

// A panel whose kernel is gone must not look alive: what can be clicked goes, what was said stays. Where the front end
// does not tell, a message that cannot be sent says so (see `asks`).
function living(model, el, how, ended = () => {}) {
  const note = make("p", {
    class: "gone",
    role: "status",
    hidden: true,
    text: `The kernel of this panel has ended. ${how}`,
  });
  el.append(note);
  const ends = new Set(["dead", "restarting", "autorestarting", "terminating"]);
  function end() {
    if (el.classList.contains("ended")) return;
    el.classList.add("ended");
    note.hidden = false;
    for (const node of el.querySelectorAll("button, input, select, textarea")) node.disabled = true;
    ended();
  }
  const watcher = new MutationObserver(() => {
    if (el.classList.contains("jupyter-widgets-disconnected")) end();
  });
  watcher.observe(el, { attributes: true, attributeFilter: ["class"] });
  const session = model.widget_manager?.context?.sessionContext;
  const heard = (_, status) => {
    if (ends.has(status)) end();
  };
  session?.statusChanged?.connect(heard);
  return () => {
    watcher.disconnect();
    session?.statusChanged?.disconnect(heard);
  };
}
