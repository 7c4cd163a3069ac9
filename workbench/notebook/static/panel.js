// The run panel: rows are kept by step id and only their texts change, so focus and selection survive an update.
function cell(row, name) {
  const td = document.createElement("td");
  td.className = name;
  row.append(td);
  return td;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Counted here, from the first sight of the run: the kernel's clock may be another machine's.
const begun = new WeakMap();

export default {
  initialize({ model }) {
    begun.set(model, Date.now());
  },
  render({ model, el }) {
    el.classList.add("workbench-panel");
    const line = document.createElement("p");
    line.setAttribute("role", "status");
    line.setAttribute("aria-live", "polite");
    // Beside the status, not in it: nobody wants every second read aloud.
    const clock = document.createElement("span");
    clock.className = "hint clock";
    clock.setAttribute("aria-hidden", "true");
    const head = document.createElement("div");
    head.className = "head";
    head.append(line, clock);
    function tick() {
      const seconds = Math.floor((Date.now() - (begun.get(model) ?? Date.now())) / 1000);
      setText(clock, seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`);
    }
    tick();
    const ticking = setInterval(tick, 1000);
    const table = document.createElement("table");
    table.setAttribute("aria-label", "Plan");
    const body = document.createElement("tbody");
    table.append(body);
    const cancel = document.createElement("button");
    cancel.type = "button";
    cancel.textContent = "Cancel";
    cancel.addEventListener("click", () => {
      cancel.disabled = true;
      cancel.textContent = "Stopping …";
      model.send({ do: "cancel" });
    });
    const stop = document.createElement("span");
    stop.className = "hint";
    stop.textContent = "Kernel > Interrupt stops it";
    // The end of an answer that is being written; not read aloud piece by piece.
    const said = document.createElement("p");
    said.className = "hint said";
    el.append(head, table, said, cancel, stop);

    const rows = new Map();
    function draw() {
      const state = model.get("state") || {};
      setText(line, state.line || "");
      for (const step of state.steps || []) {
        let row = rows.get(step.id);
        if (!row) {
          const tr = document.createElement("tr");
          body.append(tr);
          row = { tr, parts: ["state", "id", "tool", "title", "note"].map((name) => [name, cell(tr, name)]) };
          rows.set(step.id, row);
        }
        row.tr.dataset.state = step.state;
        const texts = { ...step, state: `${step.mark} ${step.state}` };
        for (const [name, td] of row.parts) setText(td, texts[name] || "");
      }
      // Steps of a plan that was written anew are gone from it.
      const ids = new Set((state.steps || []).map((step) => step.id));
      for (const [id, row] of rows) {
        if (!ids.has(id)) {
          row.tr.remove();
          rows.delete(id);
        }
      }
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
