// The tools panel: a list of tools; one is unfolded with all that is known of it and a form to try it.
export default {
  render({ model, el }) {
    el.classList.add("workbench-panel", "workbench-desk");
    const { ask, close } = asks(model);
    const course = courseView({ ask, name: "The tool that was tried" });
    let busy = false;
    let tried = null;
    const buttons = new Set();

    function form(spec, trouble) {
      const fields = schemaFields({ names: () => spec.tables, onChange: () => fields.show({}) });
      fields.update(spec.params, {});
      const run = make("button", { type: "button", class: "main", text: "Try it" });
      const place = make("div", { class: "tried" });
      run.disabled = busy;
      buttons.add(run);
      run.addEventListener("click", async () => {
        const problems = fields.problems();
        fields.show(problems);
        if (Object.keys(problems).length) return;
        place.append(course.node); // what comes stands below the tool that it comes from
        tried = run;
        trouble.show(await ask({ do: "try", name: spec.name, params: fields.value() }));
      });
      const takes = Object.keys(spec.params.properties || {}).length ? "What it takes" : "It takes nothing";
      return make("div", {}, make("h4", { text: takes }), fields.node, make("div", { class: "buttons" }, run), place);
    }
    function whole(spec, trouble) {
      const shown = [];
      if (spec.waits) shown.push(make("p", { class: "waits", text: spec.waits }));
      if (spec.description) shown.push(make("p", { class: "description", text: spec.description }));
      shown.push(factsView(spec.facts));
      if (spec.examples.length) shown.push(make("p", { class: "hint", text: `For example: ${spec.examples.join("; ")}` }));
      shown.push(
        make("details", { class: "schema" }, make("summary", { text: "JSON schema of its parameters" }), make("pre", { text: JSON.stringify(spec.params, null, 2) })),
      );
      if (!spec.waits) shown.push(form(spec, trouble));
      return shown;
    }
    function item(first) {
      const name = make("strong");
      const facts = make("span", { class: "hint" });
      const summary = make("span", { class: "summary" });
      const head = make("summary", {}, name, summary, facts);
      const trouble = troubleLine();
      const body = make("div", { class: "whole" });
      const details = make("details", {}, head, trouble.node, body);
      details.addEventListener("toggle", async () => {
        if (!details.open || body.childNodes.length) return;
        const answer = await ask({ do: "show", name: first.name });
        if (trouble.show(answer)) body.replaceChildren(...whole(answer.value, trouble));
      });
      return {
        node: make("li", {}, details),
        update(tool) {
          setText(name, tool.name);
          setText(summary, tool.summary);
          setText(facts, [tool.origin, tool.effect, tool.trust === "may be used" ? "" : `? ${tool.trust}`].filter(Boolean).join(" · "));
        },
      };
    }
    const notes = make("div", { class: "notes hint" });
    const list = listView({
      label: "Tools",
      placeholder: "Name, or what it does",
      fetch: ({ text, start }) => ask({ do: "list", text, start }),
      key: (tool) => tool.key,
      create: item,
      drawn: (value) => notes.replaceChildren(...value.notes.map((text) => make("p", { text }))),
    });
    el.append(make("h3", { text: "Tools" }), list.node, notes);
    const stop = living(model, el, "workbench.panel('tools') in a cell shows a new one.");
    function draw() {
      const was = busy;
      busy = course.update(model.get("view"));
      for (const one of buttons) one.disabled = busy;
      if (was && !busy && el.contains(document.activeElement) === false) tried?.focus();
    }
    model.on("change:view", draw);
    draw();
    list.load();
    return () => {
      model.off("change:view", draw);
      close();
      stop();
    };
  },
};
