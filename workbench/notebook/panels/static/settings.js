// The settings panel: what may be other for this kernel, the rules of the policy, and all settings with their origin.
export default {
  render({ model, el }) {
    el.classList.add("workbench-panel", "workbench-desk");
    const { ask, close } = asks(model);
    const said = saidLine();
    const trouble = troubleLine();
    async function act(message) {
      const answer = await ask(message);
      trouble.show(answer);
      said.show(answer);
      await load();
      return !answer.problem;
    }

    function changeable(first) {
      const input = make("input", first.kind === "number" ? { type: "number", min: "1", max: "64" } : { type: "text", size: 26, autocomplete: "off" });
      const from = make("span", { class: "hint" });
      const field = labelled(first.name, input, first.what);
      field.append(from);
      let given = first.value;
      function give() {
        if (input.value === given) return;
        given = input.value;
        act({ do: "set", name: first.name, value: input.value });
      }
      input.addEventListener("change", give);
      input.addEventListener("keydown", (event) => {
        if (event.key === "Enter") give(); // a field outside of a form tells of no change then
      });
      return {
        node: field,
        update(one) {
          if (document.activeElement !== input) input.value = given = one.value;
          input.placeholder = one.else;
          setText(from, one.from === "this kernel" ? "for this kernel" : `from: ${one.from}`);
        },
      };
    }
    function rule(first) {
      const [kind, text, from] = ["kind", "rule", "from"].map((name) => make("td", { class: name }));
      const remove = make("button", { type: "button", class: "plain", text: "Take back" });
      remove.addEventListener("click", () => act({ do: "remove", kind: first.kind, rule: first.rule }));
      remove.setAttribute("aria-label", `Take back: ${first.kind} ${first.rule}`);
      return {
        node: make("tr", {}, kind, text, from, make("td", { class: "acts" }, remove)),
        update(one) {
          setText(kind, one.kind);
          setText(text, one.rule);
          setText(from, one.from);
          remove.hidden = !one.own;
        },
      };
    }
    const line = (names) => () => {
      const cells = names.map((name) => [name, make("td", { class: name })]);
      return {
        node: make("tr", {}, ...cells.map(([, cell]) => cell)),
        update(one) {
          for (const [name, cell] of cells) setText(cell, one[name]);
        },
      };
    };
    function rows(label, heads) {
      const body = make("tbody");
      const node = make("table", { class: "rows", "aria-label": label }, make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col", text })))), body);
      return { node, body, known: new Map() };
    }
    const fields = make("div", { class: "fields" });
    const known = new Map();
    const rules = rows("Rules", ["Rule", "For", "From", "Do"]);
    const noRules = make("p", { class: "hint", text: "No rules: the policy asks by itself where a call is not of your own words." });
    const kind = make("select", {}, ...["ask", "deny", "allow"].map((value) => make("option", { value, text: value })));
    const words = make("input", { type: "text", size: 34, autocomplete: "off", placeholder: "effect:write" });
    const how = make("p", { class: "hint", id: `workbench-how-${Math.floor(Math.random() * 2 ** 30)}`, text: "tool:, host:, path:, effect: or argument:, with * for any text" });
    words.setAttribute("aria-describedby", how.id);
    const add = make("button", { type: "button", text: "Add the rule" });
    async function addRule() {
      if (await act({ do: "add", kind: kind.value, rule: words.value })) words.value = "";
    }
    add.addEventListener("click", addRule);
    words.addEventListener("keydown", (event) => {
      if (event.key === "Enter") addRule();
    });
    const force = rows("In force", ["What", "In force"]);
    const all = rows("Settings", ["Setting", "Value", "From", "What it is"]);
    el.append(
      make("h3", { text: "Settings" }),
      make("p", {
        class: "hint",
        text: "What you change here holds for this kernel only, from the next request on. No file is written; empty a field to have your settings again.",
      }),
      trouble.node,
      said.node,
      fields,
      make("h4", { text: "Policy" }),
      noRules,
      rules.node,
      make("div", { class: "fields" }, labelled("New rule", kind), labelled("for calls with", words), add),
      how,
      make("details", { open: true }, make("summary", { text: "What is in force" }), force.node),
      make("details", {}, make("summary", { text: "All settings, and where each comes from" }), make("div", { class: "wide-rows" }, all.node)),
    );
    const stop = living(model, el, "workbench.panel('settings') in a cell shows a new one.");
    async function load() {
      const answer = await ask({ do: "show" });
      if (answer.problem) return trouble.show(answer);
      const { value } = answer;
      keyed(fields, known, value.changeable, (one) => one.name, changeable);
      keyed(rules.body, rules.known, value.rules, (one) => `${one.kind} ${one.rule}`, rule);
      rules.node.hidden = !value.rules.length;
      noRules.hidden = value.rules.length > 0;
      keyed(force.body, force.known, value.force, (one) => one.name, line(["name", "value"]));
      keyed(all.body, all.known, value.settings, (one) => one.name, line(["name", "value", "from", "what"]));
    }
    load();
    return () => {
      close();
      stop();
    };
  },
};
