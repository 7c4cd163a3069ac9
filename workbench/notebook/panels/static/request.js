// The request panel. All that happens happens in the kernel; this draws what it says and sends what is clicked.
export default {
  render({ model, el }) {
    el.classList.add("workbench-panel", "workbench-desk");
    el.dataset.lmSuppressShortcuts = "true"; // letters typed on a button are no commands of the notebook
    const { ask, close } = asks(model);
    const trouble = troubleLine();

    // What stands in the fields is the kernel's too, a moment later: what comes back from there is not taken for news.
    const sent = {};
    function write(name, value) {
      if (sent[name] === value) return;
      sent[name] = value;
      ask({ do: "write", [name]: value });
    }
    const writeSoon = calmly(300, (value) => write("request", value));
    const box = requestBox({ ask, onWrite: writeSoon, onPlan: () => submit(true), onRun: () => submit(false) });
    const persona = make("select");
    const modelName = make("input", { type: "text", size: 18, autocomplete: "off" });
    const budget = make("input", { type: "text", size: 18, autocomplete: "off" });
    const inputs = { persona, model: modelName, budget };
    for (const [name, input] of Object.entries(inputs)) input.addEventListener("change", () => write(name, input.value));
    function fields() {
      return { request: box.value(), persona: persona.value, model: modelName.value, budget: budget.value };
    }

    async function submit(asks) {
      Object.assign(sent, fields());
      trouble.show(await ask({ do: "submit", asks, ...fields() }));
      box.forget();
    }
    async function tell(message) {
      trouble.show(await ask(message));
    }
    const button = (text, call, kind = "") => make("button", { type: "button", class: kind, text, on: { click: call } });
    const plan = button("Plan", () => submit(true), "main");
    const run = button("Run", () => submit(false));
    const cancel = button("Cancel", () => tell({ do: "cancel" }));
    plan.title = "Show the steps first";
    run.title = "Run the steps at once; calls that the policy asks about are asked about here";
    const line = make("span", { role: "status", "aria-live": "polite" });
    const waits = make("p", { class: "hint", text: "While a cell runs, clicks in this panel wait for its end." });

    const asked = questionView({ ask, tell });
    const steps = stepsView();
    const said = make("p", { class: "hint said" });
    const notes = make("div", { class: "notes hint" });
    const result = resultsView({ ask: asksFor(ask) });
    el.append(
      box.node,
      make(
        "div",
        { class: "fields" },
        labelled("Persona", persona),
        labelled("Model", modelName),
        labelled("Budget of the run", budget),
      ),
      make("div", { class: "buttons" }, plan, run, cancel, line),
      waits,
      trouble.node,
      asked.node,
      steps.node,
      said,
      notes,
      result.node,
    );
    const stop = living(model, el, "workbench.panel() in a cell shows a new one.");

    let hasResult = false;
    function draw() {
      const view = model.get("view") || {};
      const state = view.state || "idle";
      const busy = ["planning", "waiting", "running", "stopping"].includes(state);
      el.dataset.state = state;
      setText(line, view.line || "");
      const looking = state === "waiting" && view.question?.kind === "plan";
      plan.disabled = run.disabled = busy && !looking;
      plan.classList.toggle("main", !busy); // then what is asked has the one that stands out
      cancel.hidden = !busy;
      cancel.disabled = state === "stopping";
      setText(cancel, state === "stopping" ? "Stopping …" : "Cancel");
      steps.update(view.steps || [], looking);
      const held = el.contains(document.activeElement) ? document.activeElement : null;
      asked.update(view.question);
      // Who has just answered goes on with what is there next; a focus must not fall out of the panel.
      if (held && held !== el && held.closest("[hidden]") && busy) cancel.focus();
      setText(said, view.said || "");
      said.hidden = !view.said;
      if (view.problem?.problem || view.result || hasResult) trouble.show(view.problem);
      notes.replaceChildren(...(view.notes || []).map((text) => make("p", { text })));
      hasResult = Boolean(view.result);
      result.node.hidden = !hasResult;
      if (hasResult) result.update(view.result);
      waits.hidden = !model.get("waits");
    }
    function drawFields() {
      const typed = model.get("request");
      if (typed !== sent.request && typed !== box.value()) box.set(typed);
      sent.request = typed;
      for (const [name, input] of Object.entries(inputs)) {
        const value = model.get(name);
        if (name === "persona" && value && ![...persona.options].some((one) => one.value === value))
          persona.append(make("option", { value, text: value }));
        if (value !== input.value && value !== sent[name]) input.value = value;
        sent[name] = value;
      }
    }
    ask({ do: "choices" }).then(({ value }) => {
      if (!value) return;
      persona.replaceChildren(
        make("option", { value: "", text: "none" }),
        ...value.personas.map(({ name, summary }) => make("option", { value: name, text: name, title: summary })),
      );
      modelName.placeholder = value.model;
      budget.placeholder = value.budget;
      persona.value = model.get("persona");
      drawFields();
    });
    const events = ["view", "waits"].map((name) => [`change:${name}`, draw]);
    for (const name of ["request", "persona", "model", "budget"]) events.push([`change:${name}`, drawFields]);
    for (const [event, handler] of events) model.on(event, handler);
    drawFields();
    draw();
    return () => {
      for (const [event, handler] of events) model.off(event, handler);
      close();
      stop();
    };
  },
};
