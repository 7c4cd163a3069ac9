// Fields for values by their JSON schema. What is typed is a text until it can be read: nothing is guessed.
//
// schemaFields({onChange, names}) → {node, update(schema, values), value(), problems(), show(byName), names(), focus()}
//   schema   of an object: {properties, required}; values: what stands there; a name without a property is kept as JSON.
//            A property's "x-label" is its name for people; "x-field" is "list" for a list or a reference to one, "names"
//            for a list of names with commas between them
//   names    () → what a reference may name: ["@sales", "s1"]
//   value()  the values; what is left empty and not required is left out, what cannot be read stays the text that it is
//   problems()  {name: [text]} of what cannot be read; show(byName) puts these, and those of the kernel, under the fields
let fieldCount = 0;

function fieldKind(schema) {
  if (!schema || typeof schema !== "object") return { kind: "json" };
  if (schema["x-frame"]) return { kind: "ref" };
  if (schema["x-field"]) return { kind: schema["x-field"] };
  const nullable = (types) => types.includes("null");
  if (Array.isArray(schema.anyOf)) {
    const rest = schema.anyOf.filter((one) => one.type !== "null");
    if (rest.length === 1) return { ...fieldKind({ ...schema, ...rest[0], anyOf: undefined }), empty: rest.length < schema.anyOf.length };
    return { kind: "json" };
  }
  if (Array.isArray(schema.enum) && schema.enum.every((one) => typeof one !== "object" || one === null)) return { kind: "choice" };
  if (Array.isArray(schema.type)) {
    const rest = schema.type.filter((one) => one !== "null");
    if (rest.length === 1) return { ...fieldKind({ ...schema, type: rest[0] }), empty: nullable(schema.type) };
    return { kind: "json" };
  }
  if (["string", "integer", "number", "boolean"].includes(schema.type)) return { kind: schema.type };
  return { kind: "json" };
}

const isNames = (value) => Array.isArray(value) && value.every((one) => typeof one === "string" && /^[^\s,]+$/.test(one));
const isReference = (value) => value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length === 1 && "$ref" in value;

const SHAPES = {
  ref: "the result of a step (s1, s1#/part) or a table (@name)",
  list: 'a list as JSON ([1, 2]) or the result of a step (s1, s1#/part)',
  names: "steps, with commas between them (s1, s2)",
  json: "as JSON",
};

// One field. read() gives {value}, {missing: true} or {problem, text}.
function schemaField(name, schema, required, { onChange, names }) {
  fieldCount += 1;
  const id = `workbench-value-${fieldCount}-${Math.floor(Math.random() * 2 ** 30)}`;
  const { kind, empty } = fieldKind(schema);
  const label = make("label", { for: id, text: schema?.["x-label"] || name });
  const slot = make("span", { class: "slot" });
  const trouble = make("span", { class: "trouble", id: `${id}-trouble`, hidden: true });
  const hint = make("span", { class: "hint", id: `${id}-hint` });
  const node = make("div", { class: "value" }, label, slot, hint, trouble);
  let input = null;
  let shape = null;
  let first;

  function known() {
    const standard = schema?.default;
    if (standard === undefined || standard === null || standard === "" || (Array.isArray(standard) && !standard.length)) return required || schema?.["x-label"] || schema?.["x-hint"] ? "" : "may be empty";
    return `when empty: ${standard === true ? "yes" : standard === false ? "no" : kind === "choice" ? standard : JSON.stringify(standard)}`;
  }
  function place(next) {
    next.id = id;
    next.setAttribute("aria-describedby", `${id}-hint ${id}-trouble`);
    if (required) next.setAttribute("aria-required", "true");
    next.addEventListener(next.type === "checkbox" || next.tagName === "SELECT" ? "change" : "input", onChange);
    input = next;
  }
  function build(value) {
    first = value;
    const long = typeof value === "string" && (value.length > 60 || value.includes("\n"));
    shape = isReference(value) ? "ref" : kind;
    if (shape === "string" && typeof value !== "string" && value !== undefined && value !== null) shape = "json";
    if (shape === "ref" && value !== undefined && !isReference(value)) shape = "json";
    if ((shape === "integer" || shape === "number") && value !== undefined && value !== null && typeof value !== "number") shape = "json";
    if (shape === "boolean" && value !== undefined && value !== null && typeof value !== "boolean") shape = "json";
    if (shape === "choice" && value !== undefined && !schema.enum.includes(value)) shape = "json";
    if (shape === "list" && value !== undefined && !Array.isArray(value)) shape = "json";
    if (shape === "names" && value !== undefined && !isNames(value)) shape = "json";
    const parts = [];
    if (shape === "choice" || shape === "boolean") {
      const choices = shape === "choice" ? schema.enum : [true, false];
      const select = make("select", {});
      if (!required || value === undefined) select.append(make("option", { value: "", text: required ? "choose" : "not given" }));
      for (const [index, one] of choices.entries()) {
        const text = one === true ? "yes" : one === false ? "no" : String(one);
        select.append(make("option", { value: String(index), text }));
      }
      select.value = value === undefined ? "" : String(choices.indexOf(value));
      place(select);
      parts.push(select);
    } else if (shape === "json") {
      const short = value === undefined ? "" : JSON.stringify(value);
      const text = make("textarea", { spellcheck: "false", class: "code" });
      text.value = short.length > 60 ? JSON.stringify(value, null, 1) : short;
      text.rows = Math.min(10, text.value.split("\n").length);
      place(text);
      parts.push(text);
    } else if (shape === "ref" || shape === "list") {
      const list = make("datalist", { id: `${id}-names` });
      for (const one of names()) list.append(make("option", { value: one }));
      const text = make("input", { type: "text", list: `${id}-names`, spellcheck: "false", autocomplete: "off" });
      text.value = value === undefined ? "" : shape === "ref" ? String(value.$ref) : JSON.stringify(value);
      place(text);
      parts.push(text, list);
      if (shape === "ref" && kind !== "ref") {
        const other = make("button", { type: "button", class: "quiet", text: "Type a value" });
        other.setAttribute("aria-label", `Type a value for ${name} instead of what it refers to`);
        other.addEventListener("click", () => {
          build(undefined);
          input.focus();
          onChange();
        });
        parts.push(other);
      }
    } else if (shape === "string" && long) {
      const text = make("textarea", { spellcheck: "false", class: /^(sql|code)$/.test(name) ? "code" : "" });
      text.value = value;
      text.rows = Math.min(10, Math.max(2, value.split("\n").length));
      place(text);
      parts.push(text);
    } else {
      const text = make("input", { type: "text", autocomplete: "off", spellcheck: "false" });
      const numeric = shape === "integer" || shape === "number";
      if (numeric) text.setAttribute("inputmode", shape === "integer" ? "numeric" : "decimal");
      if (numeric) text.className = "number";
      text.value = value === undefined || value === null ? "" : shape === "names" ? value.join(", ") : String(value);
      place(text);
      parts.push(text);
    }
    slot.replaceChildren(...parts);
    setText(hint, [schema?.["x-hint"] || "", SHAPES[shape] || "", known()].filter(Boolean).join("; "));
  }
  function nothing() {
    if (empty && first === null) return { value: null };
    if (required && shape === "string") return { value: "" };
    return required ? { problem: "missing" } : { missing: true };
  }
  function read() {
    if (shape === "choice" || shape === "boolean") {
      if (input.value === "") return nothing();
      return { value: (shape === "choice" ? schema.enum : [true, false])[Number(input.value)] };
    }
    const text = input.value;
    if (shape === "string") {
      if (schema?.maxLength !== undefined && [...text].length > schema.maxLength) return { problem: `at most ${schema.maxLength} characters`, text };
      return text === "" && first !== "" ? nothing() : { value: text };
    }
    if (text.trim() === "") return nothing();
    if (shape === "names") return { value: text.split(",").map((one) => one.trim()).filter(Boolean) };
    if (shape === "list" && !text.trim().startsWith("[")) return { value: { $ref: text.trim() } };
    if (shape === "ref") return { value: { $ref: text.trim() } };
    if (shape === "json" || shape === "list") {
      try {
        return { value: JSON.parse(text) };
      } catch (error) {
        return { problem: "this is not JSON", text };
      }
    }
    const number = Number(text.trim());
    if (!Number.isFinite(number)) return { problem: "this is not a number", text };
    if (shape === "integer" && !Number.isInteger(number)) return { problem: "this is not a whole number", text };
    if (schema.exclusiveMinimum !== undefined && number <= schema.exclusiveMinimum) return { problem: `more than ${schema.exclusiveMinimum}`, text };
    if (schema.minimum !== undefined && number < schema.minimum) return { problem: `at least ${schema.minimum}`, text };
    if (schema.maximum !== undefined && number > schema.maximum) return { problem: `at most ${schema.maximum}`, text };
    return { value: number };
  }
  return {
    node,
    build,
    read,
    focus: () => input.focus(),
    show(found, seen) {
      setText(trouble, found.length ? `✗ ${found.join("; ")}` : seen ? `with what is not seen: ${seen}` : "");
      trouble.hidden = !trouble.textContent;
      input.setAttribute("aria-invalid", found.length ? "true" : "false");
    },
  };
}

function schemaFields({ onChange, names = () => [] }) {
  const node = make("div", { class: "values" });
  let fields = new Map();
  return {
    node,
    update(schema, values) {
      const properties = schema?.properties || {};
      const required = new Set(schema?.required || []);
      const all = [...Object.keys(properties), ...Object.keys(values).filter((name) => !(name in properties))];
      fields = new Map(all.map((name) => [name, schemaField(name, properties[name], required.has(name), { onChange, names })]));
      for (const [name, field] of fields) field.build(values[name]);
      node.replaceChildren(...[...fields.values()].map((field) => field.node));
    },
    value() {
      const found = {};
      for (const [name, field] of fields) {
        const { value, missing, problem, text } = field.read();
        if (problem === undefined && !missing) found[name] = value;
        else if (text) found[name] = text;
      }
      return found;
    },
    problems() {
      const found = {};
      for (const [name, field] of fields) {
        const { problem } = field.read();
        if (problem !== undefined) found[name] = [problem];
      }
      return found;
    },
    show(byName, shown = {}) {
      for (const [name, field] of fields) field.show(byName[name] || [], shown[name]);
    },
    names: () => [...fields.keys()],
    focus: () => fields.values().next().value?.focus(),
    get size() {
      return fields.size;
    },
  };
}
