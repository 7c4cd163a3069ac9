// Results of `%agent` that stand in a notebook, while their kernel lives: tables are sorted and turned by page where they
// stand, code gets Apply and Undo, everything can be explored. What is added is never saved, and goes with the kernel.
//
// Which run an output shows is in its metadata. That is a claim: the kernel looks it up among the user's own runs, and what
// is shown comes from there. Outputs of a notebook that is not trusted are left alone.
const TARGET = "workbench.results";
const BUSY = 400; // milliseconds before a busy kernel is told
const GONE = ["dead", "unknown", "restarting", "autorestarting", "terminating"];

// The panels' scripts are one text for a widget, and so they are here.
let drawing = null;
function drawn() {
  return (drawing ??= (async () => {
    const texts = await Promise.all(
      ["dom.js", "results.js"].map(async (name) => (await fetch(new URL(name, import.meta.url))).text()),
    );
    const text = [...texts, "export { make, resultsView, tableView, editButtons };"].join("\n");
    const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    try {
      return await import(url);
    } finally {
      URL.revokeObjectURL(url);
    }
  })());
}

function styled() {
  for (const name of ["base.css", "results.css", "outputs.css"]) {
    const href = new URL(name, import.meta.url).href;
    if (!document.querySelector(`link[href="${href}"]`)) {
      const link = document.createElement("link");
      link.rel = "stylesheet";
      link.href = href;
      document.head.append(link);
    }
  }
}

// The line to one kernel: questions about runs, and their answers.
class Line {
  constructor(kernel, closed) {
    this.waiting = new Map();
    this.last = 0;
    this.whileBusy = false;
    this.comm = kernel.createComm(TARGET);
    this.ready = new Promise((done) => (this.opened = done));
    this.comm.onMsg = ({ content }) => {
      const { answer, value, hello } = content.data;
      if (hello) {
        this.whileBusy = hello.while_busy;
        this.opened(true);
      }
      this.waiting.get(answer)?.(value);
      this.waiting.delete(answer);
    };
    this.comm.onClose = () => {
      this.opened(false);
      closed();
    };
    this.comm.open({});
  }

  ask(run, message) {
    return new Promise((done) => {
      const id = String(++this.last);
      this.waiting.set(id, done);
      this.comm.send({ id, run, message });
    });
  }

  close() {
    if (!this.comm.isDisposed) this.comm.close();
  }
}

// One output with what is added to it.
class Output {
  constructor(node, run, opened) {
    this.node = node;
    this.run = run;
    this.opened = opened; // it is what `run.explore()` has left
    this.added = [];
    this.hidden = [];
  }

  async attach(line) {
    const [tools, described] = await Promise.all([drawn(), line.ask(this.run, { do: "described" })]);
    if (described.error || this.gone || !this.node.isConnected) return;
    const ask = (message) => line.ask(this.run, message);
    this.tables(tools, described, ask);
    this.edits(tools, described, ask);
    if (this.opened || described.pictures.length || described.code.length) this.explore(tools, described, ask);
  }

  // A button that puts the view with everything in it in the place of the results; the plan and the last line stay.
  explore({ make, resultsView }, described, ask) {
    const all = make("div", { hidden: true });
    let view = null;
    const own = { "data-lm-suppress-shortcuts": "true" };
    const explore = make("button", { type: "button", text: "Explore", "aria-expanded": "false", on: { click: show }, ...own });
    const bar = this.add(this.node.lastElementChild, make("div", { class: "results" }, make("div", { class: "bar" }, explore)), all);
    function show() {
      const exploring = all.hidden;
      all.hidden = !exploring;
      explore.setAttribute("aria-expanded", String(exploring));
      explore.textContent = exploring ? "Close" : "Explore";
      for (const child of saved()) child.toggleAttribute("data-closed", exploring);
      if (view !== null) return;
      view = resultsView({ ask });
      all.append(view.node);
      view.update({ ...described, footer: "" });
    }
    const saved = () => {
      const plan = [...this.node.children].find((child) => child.matches("table"));
      const after = [...this.node.children].slice(plan ? [...this.node.children].indexOf(plan) + 1 : 0, -1);
      return after.filter((child) => child !== bar);
    };
    if (this.opened) show();
    this.undo = () => this.node.querySelectorAll("[data-closed]").forEach((child) => child.removeAttribute("data-closed"));
  }

  // Apply and Undo stand below the code, which is the last of what is preformatted.
  edits({ make, editButtons }, described, ask) {
    if (!described.code.length) return;
    const last = [...this.node.children].filter((child) => child.matches("pre")).at(-1);
    const parts = described.code.map((code) => {
      const said = described.code.length > 1 ? [make("p", { class: "title", text: `Code of ${code.step}` })] : [];
      return make("div", { class: "results" }, ...said, editButtons(ask, code.step));
    });
    this.add(last?.nextElementSibling ?? this.node.lastElementChild, ...parts);
  }

  // The run's tables stand last of all tables in the output, in the order that the kernel names them.
  tables({ tableView }, described, ask) {
    const standing = [...this.node.children].filter((child) => child.matches("table")).slice(-described.tables.length || Infinity);
    if (standing.length !== described.tables.length) return;
    described.tables.forEach((table, at) => {
      const heads = [...standing[at].querySelectorAll("thead th")].map((th) => th.textContent);
      const named = table.columns.map((column) => column.name);
      if (heads.length !== table.all_columns || named.some((name, place) => name.trim() !== heads[place].trim())) return;
      if (table.total < 2) return;
      const live = document.createElement("div");
      live.className = "results";
      live.append(tableView(ask, { ...table, title: "" }).node);
      this.add(standing[at], live);
      this.hide(standing[at]);
      const more = standing[at].nextElementSibling;
      if (table.total > table.rows.length && more?.matches("p.small")) this.hide(more);
    });
  }

  add(before, ...nodes) {
    const frame = document.createElement("div");
    frame.className = "workbench-panel workbench-live";
    frame.append(...nodes);
    before.before(frame);
    this.added.push(frame);
    return frame;
  }

  hide(node) {
    node.hidden = true;
    this.hidden.push(node);
  }

  pause(on) {
    for (const frame of this.added) {
      frame.inert = on;
      frame.style.opacity = on ? "0.55" : "";
      frame.title = on ? "The kernel is busy" : "";
    }
  }

  detach() {
    this.gone = true;
    this.undo?.();
    for (const frame of this.added) frame.remove();
    for (const node of this.hidden) node.hidden = false;
    this.added = this.hidden = [];
  }
}

// One notebook with its kernel.
class Watched {
  constructor(panel) {
    this.panel = panel;
    this.outputs = new Map();
    this.line = null;
    this.asking = null; // the question under way; one to a kernel that went away may never be answered
    this.missed = false;
    this.tried = false; // whether this kernel was asked already if it knows us
    this.again = () => this.look();
    const { sessionContext } = panel;
    sessionContext.kernelChanged.connect(this.lost, this);
    sessionContext.statusChanged.connect(this.status, this);
    sessionContext.connectionStatusChanged.connect(this.connection, this);
    // What is drawn anew (another theme does not, another output does) is a new node.
    this.observer = new MutationObserver((changes) => {
      if (changes.some(({ addedNodes }) => [...addedNodes].some(holds))) this.look();
    });
    this.observer.observe(panel.content.node, { childList: true, subtree: true });
    panel.disposed.connect(() => this.end());
    panel.context.ready.then(() => panel.sessionContext.ready).then(this.again, () => {});
  }

  get kernel() {
    return this.panel.sessionContext.session?.kernel ?? null;
  }

  // Outputs of ours that stand in the notebook now, each with its run.
  *found() {
    for (const cell of this.panel.content.widgets) {
      const area = cell.outputArea;
      if (!area) continue;
      for (const [at, child] of area.widgets.entries()) {
        const output = at < area.model.length ? area.model.get(at) : null;
        const { run, explore } = output?.metadata?.workbench ?? {};
        const node = child.node.querySelector(".jp-RenderedHTML > .workbench");
        if (node && typeof run === "string" && run && output.trusted) yield [node, { run, opened: explore === true }];
      }
    }
  }

  async look() {
    if (this.panel.isDisposed) return;
    const now = new Map(this.found());
    for (const [node, output] of this.outputs) {
      if (now.get(node)?.run !== output.run) {
        output.detach();
        this.outputs.delete(node);
      }
    }
    if (!now.size || !(await this.connected())) return;
    for (const [node, { run, opened }] of now) {
      if (!this.outputs.has(node) && node.isConnected) {
        const output = new Output(node, run, opened);
        this.outputs.set(node, output);
        output.attach(this.line);
      }
    }
  }

  async connected() {
    const kernel = this.kernel;
    if (this.line) return true;
    if (this.asking) {
      this.missed = true;
      return false;
    }
    if (!kernel || kernel.isDisposed || GONE.includes(kernel.status)) return false;
    const asking = (this.asking = {});
    this.tried = true;
    try {
      // A question that any kernel takes: only one that knows %agent has something to say to us.
      const { content } = await kernel.requestComplete({ code: "%agent", cursor_pos: 6 });
      if (content.status !== "ok" || !content.matches.includes("%agent") || asking !== this.asking) return false;
      const line = new Line(kernel, () => this.line === line && this.lost());
      if (!(await line.ready) || asking !== this.asking) return false;
      styled();
      this.line = line;
      return true;
    } catch {
      return false; // the kernel went away meanwhile
    } finally {
      if (asking === this.asking) {
        this.asking = null;
        if (this.missed) this.look();
        this.missed = false;
      }
    }
  }

  lost() {
    const line = this.line;
    this.line = this.asking = null;
    this.tried = false;
    for (const output of this.outputs.values()) output.detach();
    this.outputs.clear();
    line?.waiting.clear();
    try {
      line?.close();
    } catch {
      // there is nobody to tell
    }
  }

  status(_, status) {
    if (GONE.includes(status)) this.lost();
    clearTimeout(this.busy);
    const paused = status === "busy" && this.line && !this.line.whileBusy;
    if (paused) this.busy = setTimeout(() => this.pause(true), BUSY);
    else if (status === "idle") {
      this.pause(false);
      if (!this.tried) this.look();
    }
  }

  pause(on) {
    for (const output of this.outputs.values()) output.pause(on);
  }

  connection(_, status) {
    if (status !== "connected") this.pause(true);
    else this.pause(false);
  }

  end() {
    this.observer.disconnect();
    this.lost();
  }
}

function holds(node) {
  return node instanceof Element && (node.matches(".workbench") || node.querySelector(".workbench") !== null);
}

export function plugin({ INotebookTracker, NotebookActions }) {
  return {
    id: "agent-workbench:results",
    description: "Sorts, pages, applies and explores the results of %agent while their kernel lives.",
    autoStart: true,
    requires: [INotebookTracker],
    activate(app, tracker) {
      const watched = new WeakMap();
      function watch(panel) {
        if (!watched.has(panel)) watched.set(panel, new Watched(panel));
      }
      tracker.forEach(watch);
      tracker.widgetAdded.connect((_, panel) => watch(panel));
      // A cell may have loaded what the kernel did not have before.
      NotebookActions.executed.connect((_, { notebook }) => {
        const panel = tracker.find((one) => one.content === notebook);
        if (panel && !watched.get(panel)?.line) watched.get(panel)?.look();
      });
    },
  };
}
