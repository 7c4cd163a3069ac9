// The steps of a run as rows that are kept, with a small drawing of what comes after what. A row unfolds: the last lines
// that its step told, and what it has made.
//
// stepsView({unfold}) → {node, update(rows, hidden), append(log), tick()}
//   rows    as `picture` makes them; hidden: whether the table is shown, or a Set of ids that are not
//   unfold  async (step, on) → {value: {lines, html}}; without it nothing unfolds
//   append  {"s1": [lines]}: more of what rows that are unfolded tell; tick() once a second, for what runs
const SVG = "http://www.w3.org/2000/svg";
const LANE = 14;
const MOST_LINES = 50;

function laneDrawing() {
  const node = document.createElementNS(SVG, "svg");
  node.setAttribute("aria-hidden", "true"); // said in words beside it
  let drawn = "";
  return {
    node,
    update(lanes, below = false) {
      const wanted = JSON.stringify([lanes, below]);
      if (wanted === drawn) return;
      drawn = wanted;
      node.replaceChildren();
      if (!lanes) return;
      const x = (lane) => LANE / 2 + lane * LANE;
      const line = (x1, y1, x2, y2) => {
        const made = document.createElementNS(SVG, "line");
        for (const [name, value] of Object.entries({ x1, y1, x2, y2 })) made.setAttribute(name, value);
        node.append(made);
      };
      if (below) {
        for (const lane of [...lanes.through, ...(lanes.down ? [lanes.dot] : [])]) line(x(lane), "0", x(lane), "100%");
        return;
      }
      for (const lane of lanes.through) line(x(lane), "0", x(lane), "100%");
      for (const lane of lanes.into) line(x(lane), "0", x(lanes.dot), "15");
      if (lanes.down) line(x(lanes.dot), "15", x(lanes.dot), "100%");
      const dot = document.createElementNS(SVG, "circle");
      for (const [name, value] of Object.entries({ cx: x(lanes.dot), cy: 15, r: 4 })) dot.setAttribute(name, value);
      node.append(dot);
    },
  };
}

function stepsView({ unfold = null } = {}) {
  const node = make("table", { class: "steps-table", "aria-label": "Steps" });
  const rows = new Map();
  let width = 0;

  function row(first) {
    const id = first.id;
    const drawing = laneDrawing();
    const under = laneDrawing();
    const cells = Object.fromEntries(["state", "id", "tool", "title", "note", "seconds"].map((name) => [name, make("td", { class: name })]));
    const lanesCell = make("td", { class: "lanes" }, drawing.node);
    const name = make("span");
    const comes = make("span", { class: "hint after" });
    cells.title.append(name, comes);
    const note = make("span");
    const made = make("span", { class: "made" });
    cells.note.append(note, made);
    const toggle = make("button", { type: "button", class: "quiet unfold", text: "▸", "aria-expanded": "false" });
    const line = make("tr", {}, lanesCell, ...Object.values(cells), make("td", { class: "more" }, toggle));
    const log = make("pre", { class: "log", tabIndex: 0, "aria-label": `Log of ${id}` });
    const result = make("div", { class: "result" });
    const underCell = make("td", { class: "lanes" }, under.node);
    const detail = make("tr", { class: "detail", hidden: true }, underCell, make("td", { colSpan: 7 }, log, result));
    const group = make("tbody", {}, line, detail);
    let state = null;
    let told = null;
    let began = null;
    let lines = [];

    function showLog() {
      const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
      setText(log, lines.join("\n"));
      log.hidden = lines.length === 0;
      if (atEnd) log.scrollTop = log.scrollHeight;
    }
    async function load() {
      const answer = await unfold(id, true);
      if (!answer?.value || detail.hidden) return;
      lines = answer.value.lines;
      showLog();
      result.innerHTML = answer.value.html; // what workbench.render made
    }
    toggle.addEventListener("click", () => {
      detail.hidden = !detail.hidden;
      toggle.setAttribute("aria-expanded", String(!detail.hidden));
      setText(toggle, detail.hidden ? "▸" : "▾");
      toggle.setAttribute("aria-label", `${detail.hidden ? "Show" : "Hide"} what ${id} tells`);
      if (!unfold) return;
      if (detail.hidden) unfold(id, false);
      else load();
    });
    toggle.setAttribute("aria-label", `Show what ${id} tells`);
    function seconds() {
      if (state !== "running") return told;
      const count = Math.floor((Date.now() - began) / 1000);
      return count < 1 ? "" : count < 60 ? `${count} s` : `${Math.floor(count / 60)} min ${count % 60} s`;
    }
    return {
      node: group,
      append(more) {
        lines = [...lines, ...more].slice(-MOST_LINES);
        showLog();
      },
      tick: () => state === "running" && setText(cells.seconds, seconds()),
      hide(on) {
        group.hidden = on;
      },
      update(step) {
        const before = state;
        state = step.state;
        told = step.seconds || "";
        if (state === "running" && before !== "running") began = Date.now();
        line.dataset.state = state;
        setText(cells.state, `${step.mark} ${state}`);
        setText(cells.id, step.id);
        setText(cells.tool, step.tool || "");
        setText(name, step.title || "");
        setText(comes, step.after && !step.lanes ? ` after ${step.after}` : "");
        group.setAttribute("aria-label", `${step.id}${step.after ? `, after ${step.after}` : ""}`);
        setText(note, step.note || "");
        setText(made, step.made ? `${step.note ? ", " : ""}${step.made}` : "");
        setText(cells.seconds, seconds());
        toggle.hidden = !unfold || (!step.opens && detail.hidden);
        drawing.update(step.lanes);
        under.update(step.lanes, true);
        if (!detail.hidden && before !== null && before !== state) load(); // there may be a result now
      },
    };
  }
  return {
    node,
    update(items, hidden = false) {
      keyed(node, rows, items, (step) => step.id, row);
      for (const [id, entry] of rows) entry.hide(hidden instanceof Set && hidden.has(id));
      const lanes = items.map((step) => step.lanes).filter(Boolean);
      width = lanes.length ? LANE * (1 + Math.max(...lanes.flatMap((one) => [one.dot, ...one.through, ...one.into]))) : 0;
      node.style.setProperty("--lanes", `${width}px`);
      const shown = items.some((step) => !(hidden instanceof Set && hidden.has(step.id)));
      node.hidden = hidden === true || !shown;
    },
    append(log) {
      for (const [id, lines] of Object.entries(log)) rows.get(id)?.append(lines);
    },
    tick() {
      for (const entry of rows.values()) entry.tick();
    },
  };
}
