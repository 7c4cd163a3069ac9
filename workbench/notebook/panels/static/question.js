// A question of a run, with its answer: lines to read, a plan that can be changed, fields to fill in where a server wants
// some, and buttons. `ask` reaches the kernel, `tell` does too and shows what went wrong; `focus()` goes to what is asked,
// and to no button: a key that was on its way must not be an answer.
function questionView({ ask, tell }) {
  const head = make("h4", { tabIndex: -1 });
  const lines = make("div", { class: "lines" });
  const filled = make("div", { class: "fields" });
  const editor = planEditor({
    check: async (plan) => (await ask({ do: "check", plan })).value || { problems: {}, after: {} },
    onChange: () => {
      approve.disabled = !editor.node.hidden && !editor.valid();
    },
  });
  editor.node.hidden = true;
  const edit = make("button", { type: "button", text: "Edit", "aria-pressed": "false" });
  edit.addEventListener("click", () => {
    const on = edit.getAttribute("aria-pressed") !== "true";
    edit.setAttribute("aria-pressed", String(on));
    setText(edit, on ? "Discard the changes" : "Edit");
    editor.edit(on);
  });
  const approve = make("button", { type: "button", class: "main", text: "Approve" });
  const deny = make("button", { type: "button", text: "Deny" });
  const node = make(
    "section",
    { class: "asked", hidden: true, "aria-label": "Question" },
    head,
    lines,
    editor.node,
    filled,
    make("div", { class: "buttons" }, approve, edit, deny),
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
    const changed = !editor.node.hidden && editor.changed();
    tell({ do: "approve", number, filled: values, ...(changed ? { plan: editor.value() } : {}) });
  });
  deny.addEventListener("click", () => tell({ do: "deny", number }));
  return {
    node,
    focus: () => head.focus(),
    update(question) {
      node.hidden = !question;
      if (!question) {
        number = null;
        return;
      }
      if (question.number === number) return;
      number = question.number;
      setText(head, question.head);
      setText(approve, question.yes);
      setText(deny, question.no);
      editor.node.hidden = edit.hidden = !question.editor;
      edit.setAttribute("aria-pressed", "false");
      setText(edit, "Edit");
      approve.disabled = false;
      if (question.editor) {
        editor.update(question.editor);
        editor.edit(false);
      }
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
