// A question of a run, with its answer: lines to read, fields to fill in where a server wants some, Approve and Deny.
function questionView(tell) {
  const head = make("h4", { tabIndex: -1 });
  const lines = make("div", { class: "lines" });
  const filled = make("div", { class: "fields" });
  const approve = make("button", { type: "button", class: "main", text: "Approve" });
  const deny = make("button", { type: "button", text: "Deny" });
  const node = make(
    "section",
    { class: "asked", hidden: true, "aria-label": "Question" },
    head,
    lines,
    filled,
    make("div", { class: "buttons" }, approve, deny),
  );
  let number = null;
  let inputs = [];
  function input(field) {
    if (field.choices.length || field.kind === "boolean") {
      const options = field.choices.length ? field.choices : ["yes", "no"];
      return make("select", {}, make("option", { value: "", text: "–" }), ...options.map((text) => make("option", { value: text, text })));
    }
    return make("input", { type: field.kind === "string" ? "text" : "number", step: "any" });
  }
  approve.addEventListener("click", () => {
    const values = Object.fromEntries(inputs.map(([name, one]) => [name, one.value]));
    tell({ do: "approve", number, filled: values });
  });
  deny.addEventListener("click", () => tell({ do: "deny", number }));
  return {
    node,
    update(question) {
      node.hidden = !question;
      if (!question) {
        number = null;
        return;
      }
      if (question.number === number) return;
      number = question.number;
      setText(head, question.head);
      lines.replaceChildren(...question.lines.map((text) => make("pre", { text })));
      inputs = question.fields.map((field) => [field.name, input(field)]);
      filled.replaceChildren(
        ...inputs.map(([, one], place) => {
          const field = question.fields[place];
          if (field.default !== null && field.default !== undefined) one.value = String(field.default);
          return labelled(`${field.name}${field.required ? " (needed)" : ""}`, one, field.title);
        }),
      );
      filled.hidden = inputs.length === 0;
    },
  };
}

// The steps of a run as rows that are kept; only their texts change.
function stepsView() {
  const body = make("tbody");
  const node = make("table", { "aria-label": "Steps" }, body);
  const rows = new Map();
  function row() {
    const parts = ["state", "id", "tool", "title", "note"].map((name) => [name, make("td", { class: name })]);
    const line = make("tr", {}, ...parts.map(([, td]) => td));
    return {
      node: line,
      update(step) {
        line.dataset.state = step.state;
        const texts = { ...step, state: `${step.mark} ${step.state}` };
        for (const [name, td] of parts) setText(td, texts[name] || "");
      },
    };
  }
  return {
    node,
    update(steps, hidden) {
      keyed(body, rows, steps, (step) => step.id, row);
      node.hidden = hidden || steps.length === 0;
    },
  };
}
