// A list in pages, with a box to search in. What is typed is looked for after a moment of peace, and an answer that was
// overtaken by a later one is dropped.
//
// listView({label, fetch, create, columns, placeholder, filters, drawn}) → {node, load({start, anew}), text()}
//   fetch    async ({text, start, anew}) → {value: {rows, total, start, page, note}} or {problem, hint}
//   create   (row) → {node, update(row)}; rows are kept by `key(row)`
//   columns  names of a table's columns; without them the rows are items of a list. numbers: which of them hold numbers
//   filters  nodes beside the search box; drawn(value) is called with each answer
let listCount = 0;
function listView({ label, fetch, create, key, columns = null, numbers = [], placeholder = "", filters = [], drawn = () => {} }) {
  listCount += 1;
  const search = make("input", { type: "search", placeholder, autocomplete: "off", size: 32 });
  const body = make(columns ? "tbody" : "ul", columns ? {} : { class: "items", "aria-label": label });
  const table = columns
    ? make(
        "table",
        { class: "rows", "aria-label": label },
        make("thead", {}, make("tr", {}, ...columns.map((text) => make("th", { scope: "col", text, class: numbers.includes(text) ? "number" : "" })))),
        body,
      )
    : body;
  const count = make("span", { role: "status", "aria-live": "polite" });
  const button = (text, name, step) =>
    make("button", { type: "button", text, "aria-label": name, on: { click: () => load({ start: Math.max(0, at + step * page) }) } });
  const earlier = button("← Earlier", `Earlier page of ${label}`, -1);
  const later = button("Later →", `Later page of ${label}`, 1);
  const note = make("p", { class: "hint" });
  const trouble = troubleLine();
  const pages = make("div", { class: "buttons pages" }, count, earlier, later);
  const node = make(
    "div",
    { class: "list" },
    make("div", { class: "fields" }, labelled("Search", search), ...filters),
    trouble.node,
    make("div", { class: "wide-rows" }, table),
    pages,
    note,
  );
  const known = new Map();
  let at = 0;
  let page = 20;
  let asked = 0;
  async function load({ start = at, anew = false } = {}) {
    asked += 1;
    const mine = asked;
    const answer = await fetch({ text: search.value.slice(0, 2000), start, anew });
    if (mine !== asked) return;
    if (!trouble.show(answer)) return;
    const { rows, total } = answer.value;
    page = answer.value.page;
    if (!rows.length && start > 0 && total > 0) return load({ start: Math.floor((total - 1) / page) * page });
    at = answer.value.start;
    const held = document.activeElement;
    keyed(body, known, rows, key, create);
    table.hidden = !rows.length;
    const first = total ? at + 1 : 0;
    setText(count, total > page ? `${first}–${at + rows.length} of ${total.toLocaleString("en-US")}` : `${total.toLocaleString("en-US")} in all`);
    earlier.hidden = later.hidden = total <= page;
    earlier.disabled = at === 0;
    later.disabled = at + rows.length >= total;
    setText(note, answer.value.note || "");
    note.hidden = !answer.value.note;
    drawn(answer.value);
    // The row of a button that was pressed may be gone: the focus goes to where one would go on.
    if (held && !held.isConnected && node.isConnected) search.focus();
  }
  const soon = calmly(200, () => load({ start: 0 }));
  search.addEventListener("input", () => soon());
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") soon.now();
  });
  return { node, load, trouble, text: () => search.value };
}

// A button that asks before it does something that cannot be taken back.
function sureButton(text, question, call) {
  const ask = make("button", { type: "button", class: "plain", text });
  const yes = make("button", { type: "button", class: "plain", text: "Yes" });
  const no = make("button", { type: "button", class: "plain", text: "No" });
  const sure = make("span", { class: "sure", hidden: true }, make("span", { text: question }), yes, no);
  const node = make("span", { class: "sure-button" }, ask, sure);
  const show = (on) => {
    ask.hidden = on;
    sure.hidden = !on;
    (on ? no : ask).focus();
  };
  ask.addEventListener("click", () => show(true));
  no.addEventListener("click", () => show(false));
  yes.addEventListener("click", () => {
    show(false);
    call();
  });
  sure.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show(false);
  });
  return node;
}

// Names and values, one beneath the other.
function factsView(facts) {
  return make("dl", { class: "facts" }, ...facts.flatMap(([name, text]) => [make("dt", { text: name }), make("dd", { text })]));
}

// What is said when something was done, read aloud.
function saidLine() {
  const node = make("p", { class: "said-done", role: "status", "aria-live": "polite" });
  return { node, show: (answer) => setText(node, answer?.value?.said ? `✓ ${answer.value.said}` : "") };
}

// The run of a side panel: where it stands, what it asks, its steps, its result. `update(view)` as the kernel says it.
function courseView({ ask, name }) {
  const line = make("span", { role: "status", "aria-live": "polite" });
  const trouble = troubleLine();
  async function tell(message) {
    trouble.show(await ask(message));
  }
  const cancel = make("button", { type: "button", text: "Cancel", on: { click: () => tell({ do: "cancel" }) } });
  const asked = questionView({ ask, tell });
  const steps = stepsView({});
  const notes = make("div", { class: "notes hint" });
  const result = resultsView({ ask: asksFor(ask) });
  const node = make(
    "section",
    { class: "course", "aria-label": name, hidden: true },
    make("div", { class: "buttons" }, line, cancel),
    trouble.node,
    asked.node,
    steps.node,
    notes,
    result.node,
  );
  return {
    node,
    update(view) {
      const state = view?.state || "idle";
      const busy = ["planning", "waiting", "running", "stopping"].includes(state);
      node.hidden = state === "idle";
      setText(line, view?.line || "");
      cancel.hidden = !busy;
      cancel.disabled = state === "stopping";
      const held = node.contains(document.activeElement);
      steps.update(view?.steps || [], view?.question?.kind === "plan");
      asked.update(view?.question);
      if (held && document.activeElement?.closest("[hidden]") && busy) cancel.focus();
      trouble.show(view?.problem);
      notes.replaceChildren(...(view?.notes || []).map((text) => make("p", { text })));
      result.node.hidden = !view?.result;
      if (view?.result) result.update(view.result);
      return busy;
    },
  };
}
