// Bars that are drawn by us: one for each {name, value, said}. What they show is said in words for who does not see them,
// in the label and in a table that unfolds.
function barChart(title) {
  const drawing = "http://www.w3.org/2000/svg";
  const head = make("h4", { text: title });
  const place = make("div", { class: "bars" });
  const none = make("p", { class: "hint" });
  const body = make("tbody");
  const table = make("details", {}, make("summary", { text: "As a table" }), make("table", { class: "rows", "aria-label": title }, body));
  const node = make("figure", { class: "chart" }, head, place, none, table);
  function element(tag, values, text = "") {
    const made = document.createElementNS(drawing, tag);
    for (const [name, value] of Object.entries(values)) made.setAttribute(name, value);
    made.textContent = text;
    return made;
  }
  return {
    node,
    update(rows) {
      const most = Math.max(0, ...rows.map((row) => row.usd));
      none.hidden = most > 0;
      place.hidden = most <= 0;
      table.hidden = !rows.length;
      setText(none, rows.length ? "Nothing was spent: no model with a price was called." : "There is nothing to draw.");
      body.replaceChildren(...rows.map((row) => make("tr", {}, make("th", { scope: "row", text: row.name }), make("td", { text: row.said }))));
      if (most <= 0) return place.replaceChildren();
      const [line, left, wide, right] = [22, 130, 190, 70];
      const height = rows.length * line;
      const svg = element("svg", {
        viewBox: `0 0 ${left + wide + right} ${height}`,
        width: left + wide + right,
        height,
        role: "img",
        "aria-label": `${title}: ${rows.map((row) => `${row.name} ${row.said}`).join("; ")}`,
      });
      rows.forEach((row, index) => {
        const y = index * line;
        const name = row.name.length > 20 ? `${row.name.slice(0, 19)}…` : row.name;
        const length = Math.max(row.usd > 0 ? 1 : 0, (row.usd / most) * wide);
        svg.append(
          element("text", { x: left - 8, y: y + 15, "text-anchor": "end" }, name),
          element("rect", { x: left, y: y + 4, width: length, height: line - 8 }),
          element("text", { x: left + length + 6, y: y + 15 }, row.cost),
        );
      });
      place.replaceChildren(svg);
    },
  };
}
