// The run panel: rows are kept by step id and only their texts change.
export default {
  render({ model, el }) {
    // Counted here, from the first sight of the run: the kernel's clock may be another machine's.
    const begun = Date.now();
    el.classList.add("workbench-panel");
    const line = make("p", { role: "status", "aria-live": "polite" });
    // Beside the status, not in it: nobody wants every second read aloud.
    const clock = make("span", { class: "hint clock", "aria-hidden": "true" });
    const head = make("div", { class: "head" }, line, clock);
    function tick() {
      const seconds = Math.floor((Date.now() - begun) / 1000);
      setText(clock, seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`);
    }
    tick();
    const ticking = setInterval(tick, 1000);
    const body = make("tbody");
    const table = make("table", { "aria-label": "Plan" }, body);
    const cancel = make("button", { type: "button", text: "Cancel" });
    cancel.addEventListener("click", () => {
      cancel.disabled = true;
      cancel.textContent = "Stopping …";
      model.send({ do: "cancel" });
    });
    const stop = make("span", { class: "hint", text: "Kernel > Interrupt stops it" });
    // The end of an answer that is being written; not read aloud piece by piece.
    const said = make("p", { class: "hint said" });
    el.append(head, table, said, cancel, stop);

    const rows = new Map();
    function row() {
      const parts = ["state", "id", "tool", "title", "note"].map((name) => [name, make("td", { class: name })]);
      const node = make("tr", {}, ...parts.map(([, td]) => td));
      return {
        node,
        update(step) {
          node.dataset.state = step.state;
          const texts = { ...step, state: `${step.mark} ${step.state}` };
          for (const [name, td] of parts) setText(td, texts[name] || "");
        },
      };
    }
    function draw() {
      const state = model.get("state") || {};
      setText(line, state.line || "");
      keyed(body, rows, state.steps || [], (step) => step.id, row);
      setText(said, state.said || "");
      said.hidden = !state.said;
      table.hidden = rows.size === 0;
      const can = model.get("can_cancel");
      cancel.hidden = !can;
      stop.hidden = can;
    }
    model.on("change:state", draw);
    model.on("change:can_cancel", draw);
    draw();
    return () => {
      clearInterval(ticking);
      model.off("change:state", draw);
      model.off("change:can_cancel", draw);
    };
  },
};
