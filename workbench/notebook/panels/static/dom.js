// What every panel is drawn with. Nodes are kept and only what differs is touched, so that focus, selection and open
// details survive an update.
const FOCUSED = new Set(["button", "input", "select", "textarea", "summary"]);
function make(tag, options = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value);
  }
  // Letters that are typed where the focus is are no commands of the notebook. A front end looks for this mark from the
  // focus upwards, and stops looking for commands where it stands: so it has to be at what takes the focus itself.
  if (FOCUSED.has(tag) || "tabIndex" in options) node.dataset.lmSuppressShortcuts = "true";
  node.append(...children);
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// A child for each item, by key: `create(item)` makes {node, update(item)}; order follows the items.
function keyed(parent, known, items, key, create) {
  const seen = new Set();
  let before = null;
  for (const item of items) {
    const id = key(item);
    seen.add(id);
    let entry = known.get(id);
    if (!entry) known.set(id, (entry = create(item)));
    const place = before ? before.nextSibling : parent.firstChild;
    if (entry.node !== place) parent.insertBefore(entry.node, place);
    before = entry.node;
    entry.update(item);
  }
  for (const [id, entry] of known) {
    if (!seen.has(id)) {
      entry.node.remove();
      known.delete(id);
    }
  }
}
