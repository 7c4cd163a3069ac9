// The runs panel: what was asked, filtered; what it cost; one opened, taken up again or run again.
export default {
  render({ model, el }) {
    el.classList.add("workbench-panel", "workbench-desk");
    const { ask, close } = asks(model);
    const status = make("select", {}, make("option", { value: "", text: "any" }));
    const who = make("select", {}, make("option", { value: "", text: "any" }));
    const anew = make("button", { type: "button", text: "Read again" });
    const perDay = barChart("Cost per day (UTC)");
    const perModel = barChart("Cost per model");
    const course = courseView({ ask, name: "The run that goes on" });

    function choices(select, names) {
      const now = select.value;
      const there = [...select.options].slice(1).map((option) => option.value);
      if (there.join("\n") === names.join("\n")) return;
      select.replaceChildren(select.options[0], ...names.map((value) => make("option", { value, text: value })));
      select.value = names.includes(now) ? now : "";
    }
    const opened = openedView({
      ask,
      again: async (message) => {
        const answer = await ask(message);
        if (opened.trouble.show(answer)) course.node.scrollIntoView({ block: "nearest" });
      },
    });
    function row(first) {
      const part = (name) => make("td", { class: name });
      const [state, started, request, by, cost, took] = ["state", "started", "request", "by", "cost number", "took number"].map(part);
      const show = make("button", { type: "button", class: "plain", text: "Open" });
      show.addEventListener("click", () => opened.open(first.run, show));
      return {
        node: make("tr", {}, state, started, request, by, cost, took, make("td", { class: "acts" }, show)),
        update(run) {
          setText(state, `${run.mark} ${run.status}`);
          setText(started, run.started);
          setText(request, run.request);
          setText(by, run.model);
          setText(cost, run.cost);
          setText(took, run.seconds || "–");
          show.setAttribute("aria-label", `Open: ${run.request.slice(0, 80)}, ${run.started}`);
        },
      };
    }
    const list = listView({
      label: "Runs",
      placeholder: "Words of the request, or an id",
      columns: ["Status", "Started (UTC)", "Request", "By", "Cost", "Took", "Do"],
      numbers: ["Cost", "Took"],
      filters: [labelled("Status", status), labelled("Model", who), anew],
      fetch: ({ text, start, anew }) => ask({ do: "list", text, status: status.value, model: who.value, start, anew }),
      key: (run) => run.run,
      create: row,
      drawn(value) {
        choices(status, value.statuses);
        choices(who, value.models);
        perDay.update(value.costs.day);
        perModel.update(value.costs.model);
      },
    });
    for (const select of [status, who]) select.addEventListener("change", () => list.load({ start: 0 }));
    anew.addEventListener("click", () => list.load({ start: 0, anew: true }));
    el.append(
      make("h3", { text: "Runs" }),
      list.node,
      opened.node,
      course.node,
      make("div", { class: "charts" }, perDay.node, perModel.node),
    );
    const stop = living(model, el, "workbench.panel('runs') in a cell shows a new one.");
    let busy = false;
    function draw() {
      const was = busy;
      busy = course.update(model.get("view"));
      opened.busy(busy);
      if (was && !busy) list.load({ anew: true });
    }
    model.on("change:view", draw);
    draw();
    list.load({ anew: true });
    return () => {
      model.off("change:view", draw);
      close();
      stop();
    };
  },
};

// One run from the record, with what can be done with it.
function openedView({ ask, again }) {
  const head = make("h4", { tabIndex: -1 });
  const line = make("p", { class: "hint" });
  const trouble = troubleLine();
  const problem = make("p", { class: "trouble" });
  const steps = stepsView({});
  const notes = make("div", { class: "notes hint" });
  const result = resultsView({ ask: async (message) => {
    const { value, problem: wrong, hint } = await ask({ do: "opened", message });
    return value ?? { error: wrong, hint };
  } });
  let run = null;
  let from = null;
  const button = (text, call) => make("button", { type: "button", text, on: { click: call } });
  const resume = button("Resume", () => again({ do: "resume", run }));
  const rerun = button("Run again", () => again({ do: "rerun", run }));
  const shut = button("Close", () => {
    node.hidden = true;
    (from?.isConnected ? from : null)?.focus();
  });
  resume.title = "Go on where it stopped; what is done is kept";
  rerun.title = "A new run of the same plan";
  const node = make(
    "section",
    { class: "opened", hidden: true, "aria-label": "The run that is open" },
    head,
    line,
    make("div", { class: "buttons" }, resume, rerun, shut),
    trouble.node,
    problem,
    steps.node,
    notes,
    result.node,
  );
  return {
    node,
    trouble,
    busy(on) {
      resume.disabled = rerun.disabled = on;
    },
    async open(id, button) {
      from = button;
      const answer = await ask({ do: "open", run: id });
      node.hidden = false;
      if (!trouble.show(answer)) return;
      const view = answer.value;
      run = view.run;
      setText(head, view.request);
      setText(line, `${view.line} · ${view.run}`);
      setText(problem, view.problem ? `✗ ${view.problem}${view.hint ? ` → ${view.hint}` : ""}` : "");
      problem.hidden = !view.problem;
      steps.update(view.steps, false);
      notes.replaceChildren(...view.notes.map((text) => make("p", { text })));
      resume.hidden = !view.can_resume;
      rerun.hidden = !view.can_rerun;
      result.update(view.result);
      head.focus();
    },
  };
}
