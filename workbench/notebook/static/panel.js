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

export default {
  render({ model, el }) {
    el.classList.add("workbench-panel");
    const line = document.createElement("p");
    line.setAttribute("role", "status");
    line.setAttribute("aria-live", "polite");
    const table = document.createElement("table");
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
    el.append(line, table, cancel, stop);

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
      table.hidden = rows.size === 0;
      const can = model.get("can_cancel");
      cancel.hidden = !can;
      stop.hidden = can;
    }
    model.on("change:state", draw);
    model.on("change:can_cancel", draw);
    draw();
    return () => {
      model.off("change:state", draw);
      model.off("change:can_cancel", draw);
    };
  },
};
