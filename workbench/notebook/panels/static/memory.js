// The memory panel: search, pin, forget, add.
export default {
  render({ model, el }) {
    el.classList.add("workbench-panel", "workbench-desk");
    const { ask, close } = asks(model);
    const said = saidLine();
    async function act(message) {
      const answer = await ask(message);
      said.show(answer);
      list.trouble.show(answer);
      if (!answer.problem) await list.load();
      return !answer.problem;
    }

    function row(first) {
      let now = first;
      const part = (name) => make("td", { class: name });
      const [score, what, why, from] = ["score number", "what", "why", "from"].map(part);
      const text = make("div", { class: "text" });
      const state = make("span", { class: "hint" });
      what.append(text, state);
      const [by, since] = [make("span"), make("span", { class: "since" })];
      from.append(by, since);
      const pin = make("button", { type: "button", class: "plain", on: { click: () => act({ do: "pin", name: now.id, pinned: !now.pinned }) } });
      const forget = sureButton("Forget", "Hide it for good?", () => act({ do: "forget", name: now.id }));
      const node = make("tr", {}, score, what, why, from, make("td", { class: "acts" }, pin, forget));
      return {
        node,
        update(memory) {
          now = memory;
          setText(score, memory.score || "–");
          setText(text, memory.text);
          setText(state, [memory.kind, memory.state].filter(Boolean).join(", "));
          setText(why, memory.why || "–");
          setText(by, `${memory.from}, `);
          setText(since, memory.since);
          setText(pin, memory.pinned ? "Unpin" : "Pin");
          pin.setAttribute("aria-label", `${memory.pinned ? "Unpin" : "Pin"}: ${memory.text.slice(0, 80)}`);
          pin.hidden = memory.closed;
          node.classList.toggle("closed", memory.closed);
        },
      };
    }
    const list = listView({
      label: "Memories",
      placeholder: "What it is about; empty: all",
      columns: ["Score", "Memory", "Why it was found", "From", "Do"],
      numbers: ["Score"],
      fetch: ({ text, start }) => ask({ do: "list", text, start }),
      key: (memory) => memory.id,
      create: row,
    });

    const text = make("textarea", { rows: 2, maxLength: 2000 });
    const kind = make("select");
    const pinned = make("input", { type: "checkbox" });
    const add = make("button", { type: "button", class: "main", text: "Remember" });
    add.addEventListener("click", async () => {
      if (await act({ do: "add", text: text.value, kind: kind.value, pinned: pinned.checked })) {
        text.value = "";
        pinned.checked = false;
      }
      text.focus();
    });
    const textField = labelled("Something to remember", text);
    textField.classList.add("wide");
    const pinnedField = labelled("Pinned: a little ahead of others", pinned);
    pinnedField.classList.add("check");
    el.append(
      make("h3", { text: "Memory" }),
      list.node,
      said.node,
      make("details", {}, make("summary", { text: "Add a memory" }), make("div", { class: "fields" }, textField, labelled("Kind", kind), pinnedField, add)),
    );
    const stop = living(model, el, "workbench.panel('memory') in a cell shows a new one.");
    ask({ do: "kinds" }).then(({ value }) =>
      kind.append(...(value || []).map(({ name, what }) => make("option", { value: name, text: `${name}: ${what}` }))),
    );
    list.load();
    return () => {
      close();
      stop();
    };
  },
};
