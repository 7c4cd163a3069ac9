// The run panel. What it shows came whole when it was made; what changes comes as patches, which are put into the
// model's state, so that a second view of the same panel begins with all of it.
function patchState(model, patch) {
  const before = model.get("state") || {};
  const { rows, log, ...rest } = patch;
  const next = { ...before, ...rest, rows: { ...(before.rows || {}), ...(rows || {}) } };
  for (const id of Object.keys(next.rows)) if (!(next.order || []).includes(id)) delete next.rows[id];
  model.set("state", next);
}

// Puts what a run has come to in the place of its panel, in the notebook itself, as the kernel does it for a page that
// was there all the time. False where the front end does not let a panel do that.
function replaced(manager, { model, data, metadata }) {
  try {
    const cells = manager.context.model.cells;
    for (let at = 0; at < cells.length; at += 1) {
      const outputs = cells.get(at).outputs;
      for (let place = 0; place < (outputs?.length ?? 0); place += 1) {
        const output = outputs.get(place).toJSON();
        if (output.data?.["application/vnd.jupyter.widget-view+json"]?.model_id !== model) continue;
        outputs.set(place, { output_type: "display_data", data, metadata });
        return true;
      }
    }
  } catch {
    // a front end with another notebook
  }
  return false;
}

export default {
  initialize({ model }) {
    model.on("msg:custom", (message) => {
      if (message?.patch) patchState(model, message.patch);
    });
  },
  render({ model, el }) {
    // Counted here, from the first sight of the run: the kernel's clock may be another machine's.
    const begun = Date.now();
    el.classList.add("workbench-panel", "workbench-run");
    el.dataset.lmSuppressShortcuts = "true"; // letters typed on a button are no commands of the notebook
    const { ask, close } = asks(model);
    const trouble = troubleLine();
    const line = make("p", { class: "line", role: "status", "aria-live": "polite" });
    // Beside the status, not in it: nobody wants every second read aloud.
    const clock = make("span", { class: "hint clock", "aria-hidden": "true" });
    const cost = make("span", { class: "hint cost" });
    const cancel = make("button", { type: "button", text: "Cancel" });
    const stop = make("span", { class: "hint", text: "Kernel > Interrupt stops it" });
    const head = make("div", { class: "head" }, line, clock, cost, cancel, stop);
    const steps = stepsView({ unfold: (step, on) => ask({ do: "unfold", step, on }) });
    // The end of an answer that is being written; not read aloud piece by piece.
    const said = make("p", { class: "hint said" });
    const notes = make("div", { class: "notes hint" });
    const question = questionView({
      ask,
      tell: async (message) => {
        const answer = await ask(message);
        trouble.show(answer);
        return answer;
      },
    });
    el.append(head, steps.node, question.node, trouble.node, said, notes);

    cancel.addEventListener("click", () => {
      cancel.disabled = true;
      setText(cancel, "Stopping …");
      ask({ do: "cancel" });
    });
    function tick() {
      const seconds = Math.floor((Date.now() - begun) / 1000);
      setText(clock, seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`);
      steps.tick();
    }
    tick();
    const ticking = setInterval(tick, 1000);

    // Whoever is at this cell is taken to the question; who types elsewhere is left in peace. Not to a button: a key
    // that was on its way must not be an answer.
    function isHere() {
      const active = document.activeElement;
      if (!active || active === document.body) return true;
      if (active.matches("input, textarea, select, [contenteditable=true], .cm-content") && !el.contains(active)) return false;
      return el.contains(active) || active.contains(el) || Boolean(el.closest(".jp-Cell, .cell")?.contains(active));
    }
    let asked = null;
    let lastNotes = null;
    let over = false;
    function end(state) {
      over = true;
      clearInterval(ticking);
      // Not while the front end is still putting the panel there.
      setTimeout(() => {
        if (replaced(model.widget_manager, state.end)) return;
        const shown = make("div");
        shown.innerHTML = state.end.data["text/html"]; // made, and clean, as the output would be
        el.replaceChildren(shown, make("p", { class: "hint", text: "It is on record, and not kept in this cell: the page was loaded after the run began." }));
      });
    }
    function draw() {
      const state = model.get("state") || {};
      if (over) return;
      if (state.end) return end(state);
      const rows = (state.order || []).map((id) => state.rows?.[id]).filter(Boolean);
      const now = state.question || null;
      const wasIn = el.contains(document.activeElement) ? document.activeElement : null;
      setText(line, state.line || "");
      line.classList.toggle("asks", Boolean(now));
      setText(cost, state.cost || "");
      // Steps that are asked about stand in the question.
      steps.update(rows, now?.editor ? new Set(now.editor.plan.steps.map((step) => step.id)) : false);
      question.update(now);
      if (now?.number !== asked) {
        asked = now?.number;
        trouble.show({});
        if (now && isHere()) question.focus();
        else if (!now && wasIn && !wasIn.isConnected) cancel.focus();
        else if (!now && wasIn?.closest("[hidden]")) cancel.focus();
      }
      setText(said, state.said || "");
      said.hidden = !state.said;
      if (lastNotes !== state.notes) {
        lastNotes = state.notes;
        notes.replaceChildren(...(state.notes || []).map((text) => make("p", { text })));
      }
      const can = model.get("can_cancel");
      cancel.hidden = !can;
      stop.hidden = can;
    }
    // The kernel calls whoever sees this while it waits for an answer, and no cell waits when nobody does.
    const leave = () => ask({ do: "leave" });
    // What is sent in the last moment is often lost, and what is sent before the page asks whether to go may be untrue: then
    // it answers when it is called.
    const leaves = ["beforeunload", "pagehide"];
    for (const name of leaves) addEventListener(name, leave);
    function hear(message) {
      if (message?.call) ask({ do: "seen" });
      if (message?.patch?.log) steps.append(message.patch.log);
    }
    model.on("msg:custom", hear);
    model.on("change:state", draw);
    model.on("change:can_cancel", draw);
    draw();
    if (!over) ask({ do: "seen" }); // what nobody sees is not asked
    const ended = living(model, el, "The next %agent says how to go on with a run that was left unfinished.", () => {
      clearInterval(ticking);
      setText(line, "Not finished");
    });
    return () => {
      clearInterval(ticking);
      if (model.comm_live) leave();
      ended?.();
      for (const name of leaves) removeEventListener(name, leave);
      close();
      model.off("msg:custom", hear);
      model.off("change:state", draw);
      model.off("change:can_cancel", draw);
    };
  },
};
