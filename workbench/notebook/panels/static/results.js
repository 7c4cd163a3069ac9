// The results of a run. `resultsView({ask})` makes {node, update(described)}: `described` is what the kernel says there
// is, and `ask(message)` gives a promise of what it answers. Nothing is loaded from elsewhere, and a link loads nothing
// by itself. The only HTML that is taken as such is that of `answer` and `views`, which the kernel's output gate has made.

const { resultsView, tableView, editButtons } = (() => {
  // What has the focus keeps its keys: a notebook has shortcuts of single letters.
  const OWN = { "data-lm-suppress-shortcuts": "true" };

  function counted(number) {
    return number.toLocaleString("en-US");
  }

  function problem(answer) {
    return [answer.error, ...(answer.conflicts || []).filter((one) => !answer.error.includes(one)), answer.hint]
      .filter(Boolean)
      .join(" ");
  }

  function button(text, click, options = {}) {
    return make("button", { type: "button", text, on: { click }, ...OWN, ...options });
  }

  // A table in pages. The first one comes with the description, every other is asked for.
  function tableView(ask, table, count = 20) {
    const wanted = { sort: null, descending: false, filter: "", start: 0, count };
    let asked = 0;
    let matching = table.total;

    const heads = table.columns.map((column) => {
      const arrow = make("span", { class: "arrow", "aria-hidden": "true" });
      const sortable = column.sort !== null;
      const name = make("span", { text: column.name });
      const inner = sortable ? button("", () => sortBy(column), { class: "sort" }) : make("span");
      inner.append(name, arrow);
      const number = column.type === "integer" || column.type === "number";
      return { column, arrow, number, th: make("th", { scope: "col", class: number ? "number" : "" }, inner) };
    });
    const body = make("tbody");
    const grid = make("table", { class: "rows", "aria-label": table.title || "Table" });
    grid.append(make("thead", {}, make("tr", {}, ...heads.map((head) => head.th))), body);
    const scroll = make("div", { class: "scroll", role: "region", tabindex: "0", ...OWN, "aria-label": table.title || "Table" }, grid);

    const filter = make("input", { type: "search", placeholder: "Filter", "aria-label": "Show only rows that contain", ...OWN });
    let typing = null;
    filter.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => show({ filter: filter.value, start: 0 }), 200);
    });
    const where = make("span", { class: "hint", role: "status" });
    const first = button("«", () => wanted.start > 0 && show({ start: 0 }), { "aria-label": "First page", title: "First page" });
    const back = button("‹", () => wanted.start > 0 && show({ start: wanted.start - count }), { "aria-label": "Previous page", title: "Previous page" });
    const next = button("›", () => wanted.start + count < matching && show({ start: wanted.start + count }), { "aria-label": "Next page", title: "Next page" });
    const last = button("»", () => show({ start: Math.max(0, Math.ceil(matching / count) - 1) * count }), {
      "aria-label": "Last page",
      title: "Last page",
    });
    const pager = make("div", { class: "bar" }, first, back, next, last, where, filter);
    const node = make("div", { class: "table" });
    if (table.title) node.append(make("p", { class: "title", text: table.title }));
    node.append(scroll, pager);
    if (table.all_columns > table.columns.length)
      node.append(make("p", { class: "hint", text: `${table.columns.length} of ${counted(table.all_columns)} columns; the run's .df has all` }));

    function sortBy(column) {
      if (wanted.sort !== column.sort) show({ sort: column.sort, descending: false, start: 0 });
      else if (!wanted.descending) show({ descending: true, start: 0 });
      else show({ sort: null, descending: false, start: 0 });
    }

    async function show(change) {
      const before = { ...wanted };
      Object.assign(wanted, change);
      const mine = ++asked;
      grid.setAttribute("aria-busy", "true");
      const answer = await ask({ do: "rows", table: table.id, ...wanted });
      if (mine !== asked) return; // something else was asked for meanwhile
      grid.removeAttribute("aria-busy");
      if (answer.error) {
        Object.assign(wanted, before, { filter: wanted.filter });
        setText(where, problem(answer));
        return;
      }
      matching = answer.matching;
      wanted.start = answer.start;
      draw(answer.rows);
    }

    function draw(rows) {
      body.replaceChildren(
        ...rows.map((row) =>
          make("tr", {}, ...row.map((text, at) => make("td", { class: heads[at].number ? "number" : "", text }))),
        ),
      );
      for (const { column, arrow, th } of heads) {
        const by = column.sort !== null && column.sort === wanted.sort;
        if (by) th.setAttribute("aria-sort", wanted.descending ? "descending" : "ascending");
        else th.removeAttribute("aria-sort");
        setText(arrow, by ? (wanted.descending ? " ▼" : " ▲") : "");
      }
      const end = wanted.start + rows.length;
      const of = wanted.filter ? `${counted(matching)} that match, ${counted(table.total)} in all` : counted(table.total);
      setText(where, rows.length ? `${counted(wanted.start + 1)}–${counted(end)} of ${of}` : `No row of ${counted(table.total)} matches`);
      const pages = matching > count;
      for (const one of [first, back, next, last]) one.hidden = !pages;
      // A button that was just used keeps the focus: it is said to be off, not taken away.
      for (const one of [first, back]) one.setAttribute("aria-disabled", String(wanted.start === 0));
      for (const one of [next, last]) one.setAttribute("aria-disabled", String(end >= matching));
    }

    filter.hidden = table.total <= count; // what is on one page is seen at a glance
    draw(table.rows);
    if (table.total > table.rows.length && table.rows.length < count) show({});
    return { node, update() {} };
  }

  async function source(ask, id, img, failed) {
    const answer = await ask({ do: "file", file: id });
    if (answer.error) failed(problem(answer));
    else img.src = `data:${answer.mime};base64,${answer.data}`;
  }

  function pictureView(ask, picture) {
    const img = make("img", { alt: picture.alt });
    const zoom = button("Full size", () => {
      const full = zoom.getAttribute("aria-pressed") !== "true";
      zoom.setAttribute("aria-pressed", String(full));
      frame.classList.toggle("full", full);
    }, { "aria-pressed": "false" });
    const frame = make("div", { class: "frame" }, img);
    const node = make("figure", {}, frame, zoom);
    // Where the picture is shown whole there is nothing to zoom into.
    function fit() {
      zoom.hidden = zoom.getAttribute("aria-pressed") !== "true" && img.naturalWidth <= img.clientWidth;
    }
    fit();
    img.addEventListener("load", fit);
    new ResizeObserver(fit).observe(frame);
    source(ask, picture.id, img, (why) => node.replaceChildren(make("p", { text: `[picture: ${picture.alt}] ${why}` })));
    return { node, update() {} };
  }

  function soundView(ask, sound) {
    const player = make("audio", { controls: true, preload: "metadata", "aria-label": sound.title });
    const node = make("figure", {}, make("figcaption", { text: sound.title }), player);
    if (sound.said) node.append(make("p", { class: "said", text: sound.said }));
    source(ask, sound.id, player, (why) => node.append(make("p", { class: "hint", text: why })));
    return { node, update() {} };
  }

  function diffLine(sign, cells) {
    const kind = { "+": "added", "-": "removed", "@": "gap", "\\": "gap" }[sign] || "";
    return make("tr", { class: kind }, ...cells);
  }

  function cells([sign, , , text], number) {
    return [
      make("td", { class: "line", text: number === null ? "" : String(number) }),
      make("td", { class: "sign", text: sign === "-" ? "−" : sign === "+" ? "+" : "" }),
      make("td", { class: "text", text }),
    ];
  }

  function unified(rows, isNew) {
    return rows.map((row) => {
      const [sign, old, now] = row;
      const before = make("td", { class: "line", text: old === null ? "" : String(old) });
      return diffLine(sign, [...(isNew ? [] : [before]), ...cells(row, now)]);
    });
  }

  // What goes on the left, what comes on the right; context on both.
  function beside(rows) {
    const made = [];
    let gone = [];
    let come = [];
    const side = (row, at) => (row ? cells(row, row[at]) : [make("td", { class: "line" }), make("td", { class: "sign" }), make("td", { class: "text" })]);
    const half = (row, at, kind) => side(row, at).map((td) => (row && kind && td.classList.add(kind), td));
    function flush() {
      for (let at = 0; at < Math.max(gone.length, come.length); at++)
        made.push(make("tr", {}, ...half(gone[at], 1, "removed"), ...half(come[at], 2, "added")));
      gone = [];
      come = [];
    }
    for (const row of rows) {
      if (row[0] === "-") {
        if (come.length) flush();
        gone.push(row);
      } else if (row[0] === "+") come.push(row);
      else if (row[0] === "\\") continue; // which side it is said of is seen in one column only
      else {
        flush();
        made.push(diffLine(row[0], [...side(row, 1), ...side(row, 2)]));
      }
    }
    flush();
    return made;
  }

  async function copied(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Where the page is not served safely there is no clipboard but by the old way.
      const area = make("textarea", { "aria-hidden": "true", class: "away" });
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
    return true;
  }

  function fileView(ask, step, file) {
    const checked = file.checked ? `; ${file.checked}` : "";
    const isNew = file.change === "new";
    const body = make("tbody");
    const table = make("table", { class: "diff", "aria-label": `Changes of ${file.path}` }, body);
    const said = make("span", { class: "hint", role: "status" });
    const ways = ["Unified", "Side by side"].map((name, at) => button(name, () => draw(at === 1)));
    function draw(split) {
      ways.forEach((way, at) => way.setAttribute("aria-pressed", String(split === (at === 1))));
      table.classList.toggle("split", split);
      body.replaceChildren(...(split ? beside(file.rows) : unified(file.rows, isNew)));
    }
    const copy = button("Copy", async () => {
      const answer = await ask({ do: "code", step, path: file.path });
      if (answer.error) return setText(said, problem(answer));
      setText(said, (await copied(answer.text)) ? "Copied" : "This page may not use the clipboard: select the code instead.");
    });
    const bar = make("div", { class: "bar" }, make("span", { class: "path", text: `${file.path} (${file.change}${checked})` }));
    // Of a new file there is nothing to compare.
    bar.append(...(isNew ? [] : ways), copy, said);
    const scroll = make("div", { class: "scroll", role: "region", tabindex: "0", ...OWN, "aria-label": `Changes of ${file.path}` }, table);
    const node = make("div", { class: "file" }, bar, scroll);
    if (file.more) node.append(make("p", { class: "hint", text: `${counted(file.more)} more lines` }));
    draw(false);
    return node;
  }

  // Apply and Undo of one step's code, each only where it can be done now, and why not where neither can.
  function editButtons(ask, step) {
    const said = make("span", { role: "status" });
    const apply = button("Apply", () => edit("apply"));
    const undo = button("Undo", () => edit("undo"));
    const both = { apply, undo };
    const can = { apply: false, undo: false };
    const why = make("ul", { class: "conflicts" });
    const node = make("div", {}, make("div", { class: "bar" }, apply, undo, said), why);

    async function look() {
      const answer = await ask({ do: "standing", step });
      for (const name of ["apply", "undo"]) {
        can[name] = !answer.error && answer[name].can;
        both[name].setAttribute("aria-disabled", String(!can[name]));
      }
      const stuck = !answer.error && !can.apply && !can.undo ? answer.apply.conflicts : [];
      why.replaceChildren(...stuck.map((text) => make("li", { text })));
      if (answer.error) setText(said, problem(answer));
      return answer;
    }
    async function edit(what) {
      if (!can[what]) return;
      can.apply = can.undo = false;
      for (const one of [apply, undo]) one.setAttribute("aria-disabled", "true");
      const answer = await ask({ do: what, step });
      await look();
      setText(said, answer.error ? problem(answer) : answer.done.map(({ path, did }) => `${path}: ${did}`).join(", "));
    }
    for (const one of [apply, undo]) one.setAttribute("aria-disabled", "true");
    // At once, and whenever it comes into view: the project may have changed meanwhile.
    let first = true;
    new IntersectionObserver((seen) => {
      if (first || seen.some((one) => one.isIntersecting)) look();
      first = false;
    }).observe(node);
    return node;
  }

  function codeView(ask, code) {
    const files = code.files.map((file) => fileView(ask, code.step, file));
    return { node: make("div", { class: "code" }, ...files, editButtons(ask, code.step)), update() {} };
  }

  function sourceView(source) {
    const node = make("li");
    if (source.url) node.append(make("a", { href: source.url, target: "_blank", rel: "noopener noreferrer nofollow", text: source.title }));
    else node.append(source.title);
    if (source.host && source.host !== source.title) node.append(make("span", { class: "hint", text: ` ${source.host}` }));
    return { node, update() {} };
  }

  function resultsView({ ask }) {
    const answer = make("div", { class: "answer" });
    const objects = make("div", { class: "answer" });
    const groups = [
      ["tables", make("div"), (one) => one.id, (one) => tableView(ask, one)],
      ["pictures", make("div"), (one) => one.id, (one) => pictureView(ask, one)],
      ["audio", make("div"), (one) => one.id, (one) => soundView(ask, one)],
      ["code", make("div"), (one) => one.step, (one) => codeView(ask, one)],
      ["sources", make("ol", { "aria-label": "Sources" }), (one) => `${one.title} ${one.url}`, sourceView],
    ].map(([name, parent, key, create]) => ({ name, parent, key, create, known: new Map() }));
    const footer = make("p", { class: "hint" });
    const node = make("div", { class: "results" }, answer, objects, ...groups.map((group) => group.parent), footer);
    let run = null;
    let text = null;
    let seen = null;

    function update(described) {
      if (described.run !== run) {
        run = described.run;
        for (const group of groups) keyed(group.parent, group.known, [], group.key, group.create);
      }
      if (described.answer !== text) answer.innerHTML = text = described.answer || "";
      const html = (described.views || []).map((one) => one.html).join("");
      if (html !== seen) objects.innerHTML = seen = html;
      objects.hidden = !html;
      for (const group of groups) {
        const items = described[group.name] || [];
        keyed(group.parent, group.known, items, group.key, group.create);
        group.parent.hidden = items.length === 0;
      }
      setText(footer, described.footer || "");
    }
    return { node, update };
  }

  return { resultsView, tableView, editButtons };
})();
