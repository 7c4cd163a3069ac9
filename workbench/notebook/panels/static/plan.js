// A plan that a person may change before it runs: see, switch off, move, remove, change and add steps, or write the
// whole as JSON. The kernel decides whether a plan may run; what is found here only says it earlier.
//
// planEditor({check, onChange}) → {node, update(described), value(), valid(), changed(), edit(on), focus()}
//   described  what `plans.described` gives, and `key`: another key is another plan, the same one changes nothing
//   check      async (plan) → {problems: {"": [..], "s1": [..], "s1/city": [..], "s1:if": [..]}, after: {"s2": ["s1"]}};
//              a place is the plan, a step, a parameter of it ("/"), or what it does beside its call (":")
//   value()    the plan as JSON for `plans.checked`; a step that is switched off has `disabled: true`
//   valid()    whether the kernel has said yes to just this plan; onChange() is called when that or the value changes
//   edit(on)   shows fields; off again it is the plan as it was
const asPlace = (place) => place.replace(/[/:]/, ": ");

// What a step does beside its call as flat fields, `retry.max`, and back. What is no object there stays as it is.
function flatStep(more, properties) {
  const flat = {};
  for (const [name, item] of Object.entries(more)) {
    const parts = item && typeof item === "object" && !Array.isArray(item) ? Object.keys(item) : [];
    if (parts.length && parts.every((part) => `${name}.${part}` in properties)) for (const part of parts) flat[`${name}.${part}`] = item[part];
    else flat[name] = item;
  }
  return flat;
}
function deepStep(flat) {
  const more = {};
  for (const [name, item] of Object.entries(flat)) {
    const [outer, inner] = name.split(".");
    if (inner) more[outer] = { ...more[outer], [inner]: item };
    else more[name] = item;
  }
  return more;
}

function planEditor({ check, onChange = () => {} }) {
  const list = make("ol", { class: "steps", "aria-label": "Steps to approve" });
  const trouble = make("p", { class: "trouble", role: "alert", hidden: true });
  const chooser = make("select", { "aria-label": "Tool of the new step" });
  const adding = make("button", { type: "button", text: "Add a step" });
  const asJson = make("button", { type: "button", text: "Edit as JSON", "aria-pressed": "false" });
  const text = make("textarea", { class: "code whole", spellcheck: "false", rows: "12", "aria-label": "The plan as JSON" });
  const whole = make("div", { hidden: true }, text);
  const tools = make("div", { class: "buttons" }, chooser, adding, asJson);
  const said = make("p", { class: "visually-hidden", role: "status", "aria-live": "polite" });
  const node = make("div", { class: "plan-editor" }, list, whole, trouble, tools, said);

  let about = null;
  let steps = [];
  let rest = {};
  let editing = false;
  let inJson = false;
  let first = "";
  let version = 0;
  let agreed = 0;
  let found = {};
  let after = {};
  let timer = null;
  let counter = 0;
  const rows = new Map();

  const names = () => [...(about?.variables || []).map((name) => `@${name}`), ...(about?.earlier || []), ...steps.map((step) => step.id)];
  const button = (words, label, call) => {
    const made = make("button", { type: "button", class: "quiet", text: words });
    made.setAttribute("aria-label", label);
    made.addEventListener("click", call);
    return made;
  };

  // -- what is held --------------------------------------------------------------------------------------------------
  function take(plan) {
    const { steps: given, ...others } = plan;
    rest = others;
    steps = (Array.isArray(given) ? given : []).map(({ id, task, params, disabled, ...more }) => {
      counter += 1;
      return { key: `step-${counter}`, id: String(id ?? ""), task: String(task ?? ""), params: params || {}, off: disabled === true, more };
    });
  }
  function held() {
    return {
      ...rest,
      steps: steps.map((step) => ({ id: step.id, task: step.task, ...step.more, params: step.params, ...(step.off ? { disabled: true } : {}) })),
    };
  }
  function parsed() {
    try {
      const plan = JSON.parse(text.value);
      if (Array.isArray(plan)) return { plan: { ...rest, steps: plan } };
      if (plan === null || typeof plan !== "object" || !Array.isArray(plan.steps)) return { problem: "expected an object with a list of steps" };
      return { plan };
    } catch (error) {
      return { problem: `this is not JSON: ${error.message}` };
    }
  }
  const value = () => (inJson ? (parsed().plan ?? null) : held());

  // -- what is wrong with it -----------------------------------------------------------------------------------------
  function early() {
    if (inJson) {
      const { problem } = parsed();
      return problem ? { "": [problem] } : {};
    }
    const problems = {};
    if (editing)
      for (const step of steps)
        if (!step.off)
          for (const [place, lines] of Object.entries(rows.get(step.key)?.problems() || {})) problems[`${step.id}${place}`] = lines;
    return problems;
  }
  function show() {
    const places = new Set(steps.filter((step) => !step.off).map((step) => step.id));
    const lines = [];
    for (const [place, sayings] of Object.entries(found)) {
      const step = place.split(/[/:]/)[0];
      if (inJson || !places.has(step)) lines.push(...sayings.map((line) => (place ? `${asPlace(place)}: ${line}` : line)));
    }
    setText(trouble, lines.length ? `✗ ${lines.join("; ")}` : "");
    trouble.hidden = lines.length === 0;
    if (inJson) return;
    for (const step of steps) rows.get(step.key)?.show(step);
  }
  function touched() {
    version += 1;
    const mine = version;
    found = early();
    draw();
    clearTimeout(timer);
    onChange();
    if (Object.keys(found).length) return;
    timer = setTimeout(async () => {
      const answer = await check(value());
      if (mine !== version) return; // something else was typed meanwhile
      found = answer?.problems || { "": ["the kernel does not answer"] };
      after = answer?.after || after;
      if (Object.keys(found).length === 0) agreed = mine;
      draw();
      onChange();
    }, 120);
  }

  // -- rows ----------------------------------------------------------------------------------------------------------
  function row(step) {
    const key = step.key;
    const planned = (now) => about.plan.steps.find((one) => one.id === now.id);
    const mine = () => steps.find((one) => one.key === key);
    const on = make("input", { type: "checkbox" });
    const onLabel = make("label", { class: "on" }, on, make("span", { text: "run" }));
    const id = make("span", { class: "id" });
    const task = make("span", { class: "tool" });
    const title = make("span", { class: "title" });
    const comes = make("span", { class: "hint" });
    const up = button("↑", "", () => move(-1));
    const down = button("↓", "", () => move(1));
    const remove = button("Remove", "", () => drop());
    const moves = make("span", { class: "moves" }, up, down, remove);
    const state = make("span", { class: "hint off" });
    const head = make("div", { class: "step-head" }, onLabel, id, task, title, comes, state, moves);
    const fields = schemaFields({
      onChange: () => {
        mine().params = fields.value();
        touched();
      },
      names,
    });
    const besideChanged = () => {
      mine().more = deepStep({ ...named.value(), ...besides.value() });
      touched();
    };
    const named = schemaFields({ onChange: besideChanged });
    const besides = schemaFields({ onChange: besideChanged, names });
    const shown = make("div", { class: "shown" });
    const more = make("div", { class: "hint more" });
    const summary = make("summary", { text: "More" });
    const details = make("details", { class: "beside" }, summary, besides.node);
    const problem = make("p", { class: "trouble", hidden: true });
    const line = make("li", {}, head, named.node, fields.node, details, shown, more, problem);
    let built = null;
    details.addEventListener("toggle", () => show());

    on.addEventListener("change", () => {
      mine().off = !on.checked;
      setText(said, `${mine().id} is ${on.checked ? "switched on" : "switched off"}`);
      touched();
    });
    function move(by) {
      const at = steps.findIndex((one) => one.key === key);
      const to = at + by;
      if (to < 0 || to >= steps.length) return;
      steps.splice(to, 0, steps.splice(at, 1)[0]);
      setText(said, `${steps[to].id} is now step ${to + 1} of ${steps.length}`);
      touched();
      (by < 0 ? (up.disabled ? down : up) : down.disabled ? up : down).focus();
    }
    function drop() {
      const at = steps.findIndex((one) => one.key === key);
      const [gone] = steps.splice(at, 1);
      setText(said, `${gone.id} is removed`);
      touched();
      const next = steps[Math.min(at, steps.length - 1)];
      if (next) rows.get(next.key).focusRemove();
      else adding.focus();
    }
    // What only refers, in words: `@sales`, or `sales = @orders` under a name of its own.
    function referring(item) {
      if (isReference(item)) return String(item.$ref);
      const all = item && typeof item === "object" && !Array.isArray(item) ? Object.entries(item) : [];
      if (!all.length || !all.every(([name, one]) => isReference(one) && /^\w+$/.test(name))) return null;
      return all.map(([name, one]) => (one.$ref === `@${name}` ? one.$ref : `${name} = ${one.$ref}`)).join(", ");
    }
    function values(now) {
      const params = Object.entries(now.params);
      const odd = about.shown?.[now.id] || {};
      shown.replaceChildren(
        ...params.map(([name, item]) => {
          const reads = JSON.stringify(item) === JSON.stringify(planned(now)?.params?.[name]);
          const says = reads && odd[name] ? odd[name] : referring(item) ?? (typeof item === "string" ? item : JSON.stringify(item));
          const tag = says.includes("\n") || says.length > 60 ? "pre" : "bdi";
          return make("div", { class: "value" }, make("span", { class: "name", text: name }), make(tag, { text: says }));
        }),
      );
    }
    const placed = (mark, group) => Object.entries(group.problems()).map(([name, lines]) => [`${mark}${name}`, lines]);
    function besideFields(now) {
      const { title, ...others } = about.fields;
      const flat = flatStep(now.more, about.fields);
      const { title: called, ...rest } = flat;
      named.update({ properties: { title } }, called === undefined ? {} : { title: called });
      besides.update({ properties: others }, rest);
    }
    return {
      node: line,
      problems: () => (built ? Object.fromEntries([...placed("/", fields), ...placed(":", named), ...placed(":", besides)]) : {}),
      focus: () => (editing ? (fields.size ? fields.focus() : remove.focus()) : line.focus()),
      focusRemove: () => remove.focus(),
      update(now) {
        const place = steps.indexOf(now);
        line.dataset.off = String(now.off);
        setText(id, now.id);
        setText(task, now.task);
        const { id: _, task: __, params: ___, disabled: ____, ...beside } = planned(now) || {};
        // What is as it was is said as the kernel says it.
        const known = planned(now) && JSON.stringify(beside) === JSON.stringify(now.more) ? about.said?.[now.id] : null;
        setText(title, known ? known.title : now.more.title && now.more.title !== now.task ? now.more.title : "");
        const before = after[now.id] || [];
        setText(comes, before.length ? `after ${before.join(", ")}` : "");
        setText(state, now.off && !editing ? "switched off" : "");
        onLabel.hidden = moves.hidden = !editing;
        on.checked = !now.off;
        on.setAttribute("aria-label", `Run ${now.id} ${now.task}`);
        up.disabled = place === 0;
        down.disabled = place === steps.length - 1;
        up.setAttribute("aria-label", `Move ${now.id} up`);
        down.setAttribute("aria-label", `Move ${now.id} down`);
        remove.setAttribute("aria-label", `Remove ${now.id}`);
        const wanted = editing ? "fields" : "text";
        if (wanted === "fields" && built !== now.task) {
          fields.update(about.tools[now.task]?.params || {}, now.params);
          besideFields(now);
          built = now.task;
        }
        if (wanted === "text") {
          values(now);
          built = null;
        }
        fields.node.hidden = named.node.hidden = details.hidden = wanted !== "fields" || now.off;
        title.hidden = wanted === "fields" && !now.off; // it stands in its field
        summary.setAttribute("aria-label", `More of ${now.id}`);
        shown.hidden = wanted !== "text";
        const others = Object.entries(now.more).filter(([name]) => name !== "title" && name !== "needs"); // said in the head
        setText(more, known ? known.more : others.map(([name, item]) => `${name}: ${JSON.stringify(item)}`).join(", "));
      },
      show(now) {
        const own = now.off ? [] : [...(found[now.id] || [])];
        const byName = { "/": {}, ":": {} };
        for (const [place, lines] of Object.entries(found)) {
          const mark = place[now.id.length];
          if (!now.off && mark in byName && place.startsWith(now.id)) byName[mark][place.slice(now.id.length + 1)] = lines;
        }
        // What has no field to stand under, or one that is not seen, is said below the step.
        const seen = {
          "/": new Set(built ? [...fields.names(), ...Object.keys(about.tools[now.task]?.params?.properties || {})] : []),
          ":": new Set(built ? [...named.names(), ...(details.open ? besides.names() : [])] : []),
        };
        const elsewhere = Object.entries(byName).flatMap(([mark, items]) => Object.entries(items).filter(([name]) => !seen[mark].has(name)));
        const lines = [...own, ...elsewhere.flatMap(([name, items]) => items.map((item) => `${name}: ${item}`))];
        setText(problem, lines.length ? `✗ ${lines.join("; ")}` : "");
        problem.hidden = lines.length === 0;
        more.hidden = !more.textContent || (Boolean(built) && !now.off && details.open);
        if (!built) return;
        fields.show(byName["/"], about.shown?.[now.id]);
        const told = about.said?.[now.id]?.title; // with nothing hidden
        named.show(byName[":"], told && now.more.title === planned(now)?.title && told !== now.more.title ? { title: told } : {});
        besides.show(byName[":"]);
      },
    };
  }
  function draw() {
    list.hidden = inJson;
    whole.hidden = !inJson;
    tools.hidden = !editing;
    chooser.hidden = adding.hidden = inJson;
    setText(asJson, inJson ? "Back to the steps" : "Edit as JSON");
    asJson.setAttribute("aria-pressed", String(inJson));
    if (!inJson) keyed(list, rows, steps, (step) => step.key, row);
    show();
  }

  // What the kernel has made of the plan: it is checked already.
  function begin() {
    take(about.plan);
    rows.clear();
    list.replaceChildren();
    first = JSON.stringify(held());
    after = about.after || {};
    inJson = editing = false;
    found = {};
    version += 1;
    agreed = version;
  }

  text.addEventListener("input", touched);
  asJson.addEventListener("click", () => {
    if (!inJson) {
      text.value = JSON.stringify(held(), null, 2);
      text.rows = Math.max(6, Math.min(24, text.value.split("\n").length));
      inJson = true;
      touched();
      text.focus();
      text.setSelectionRange(0, 0);
      text.scrollTop = 0;
      return;
    }
    const { plan, problem } = parsed();
    if (problem) return text.focus(); // it says so below; nothing that was typed is lost
    take(plan);
    inJson = false;
    touched();
    asJson.focus();
  });
  adding.addEventListener("click", () => {
    const taken = new Set(names());
    let number = steps.length + 1;
    while (taken.has(`s${number}`)) number += 1;
    counter += 1;
    const made = { key: `step-${counter}`, id: `s${number}`, task: chooser.value, params: {}, off: false, more: {} };
    steps.push(made);
    setText(said, `${made.id} ${made.task} is added`);
    touched();
    rows.get(made.key).focus();
  });

  return {
    node,
    value,
    valid: () => agreed === version && Object.keys(found).length === 0,
    changed: () => JSON.stringify(value()) !== first,
    update(described) {
      if (!described || (about && about.key === described.key)) return;
      about = described;
      begin();
      chooser.replaceChildren(
        ...Object.entries(described.tools).map(([name, tool]) => make("option", { value: name, text: tool.summary ? `${name}: ${tool.summary}` : name })),
      );
      draw();
    },
    edit(next) {
      if (editing === next) return;
      if (!next) begin();
      editing = next;
      draw();
      onChange();
    },
    focus() {
      if (inJson) text.focus();
      else if (steps.length) rows.get(steps[0].key).focus();
      else adding.focus();
    },
  };
}
