// The box in which a request is written: earlier requests by the arrows up and down, names after @ as one types.
function requestBox({ ask, onWrite, onPlan, onRun }) {
  const area = make("textarea", {
    rows: 2,
    placeholder: "Which region grew fastest? Plot it from @sales",
    spellcheck: "true",
    "aria-autocomplete": "list",
    "aria-haspopup": "listbox",
    "aria-expanded": "false",
  });
  const field = labelled("Request", area);
  const listId = `${area.id}-names`;
  const list = make("ul", { class: "suggestions", role: "listbox", id: listId, "aria-label": "Tables", hidden: true });
  area.setAttribute("aria-controls", listId);
  field.classList.add("wide");
  const keys = make("span", {
    class: "hint",
    text: "Ctrl+Enter plans, Ctrl+Shift+Enter runs at once. ↑ and ↓ bring back earlier requests, @ names a table.",
  });
  const node = make("div", { class: "fields box" }, field, list, keys);

  let names = [];
  let chosen = 0;
  let asked = 0;
  function close() {
    asked += 1; // what was asked for comes too late
    suggest.stop();
    names = [];
    list.hidden = true;
    area.setAttribute("aria-expanded", "false");
    area.removeAttribute("aria-activedescendant");
  }
  function draw() {
    list.replaceChildren(
      ...names.map(({ name, what }, place) =>
        make(
          "li",
          {
            role: "option",
            id: `${listId}-${place}`,
            "aria-selected": String(place === chosen),
            on: { mousedown: (event) => (event.preventDefault(), take(place)) },
          },
          make("span", { text: name }),
          make("span", { class: "hint", text: what }),
        ),
      ),
    );
    list.hidden = names.length === 0;
    list.style.top = `${area.offsetTop + area.offsetHeight}px`;
    area.setAttribute("aria-expanded", String(names.length > 0));
    if (names.length) area.setAttribute("aria-activedescendant", `${listId}-${chosen}`);
    list.children[chosen]?.scrollIntoView({ block: "nearest" });
  }
  function take(place) {
    const at = area.selectionStart;
    const before = area.value.slice(0, at).replace(/@[^\s@]*$/u, names[place].name);
    area.value = before + area.value.slice(at);
    area.selectionStart = area.selectionEnd = before.length;
    close();
    written();
  }
  const suggest = calmly(60, async (text) => {
    asked += 1;
    const mine = asked;
    const answer = await ask({ do: "complete", text: text.slice(-200) });
    if (mine !== asked || document.activeElement !== area) return;
    names = answer.value || [];
    chosen = 0;
    draw();
  });
  function complete() {
    const text = area.value.slice(0, area.selectionStart);
    if (area.selectionStart === area.selectionEnd && /(^|[^\w.@/])@[^\s@]*$/u.test(text)) suggest(text);
    else close();
  }

  // The past is asked for once it is wanted; what stands in the box is its newest line.
  let past = null;
  let at = 0;
  let draft = "";
  async function turn(step) {
    if (past === null) {
      const answer = await ask({ do: "history" });
      past = answer.value || [];
      at = 0;
    }
    if (at === 0) draft = area.value;
    const next = Math.min(past.length, Math.max(0, at + step));
    if (next === at) return;
    at = next;
    area.value = at === 0 ? draft : past[at - 1];
    area.selectionStart = area.selectionEnd = step > 0 ? 0 : area.value.length;
    grow();
    onWrite(area.value);
  }
  function grow() {
    area.rows = Math.min(12, Math.max(2, area.value.split("\n").length));
  }
  function written() {
    at = 0;
    grow();
    onWrite(area.value);
  }
  area.addEventListener("input", () => {
    written();
    complete();
  });
  area.addEventListener("blur", close);
  area.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey && !event.shiftKey;
    const open = names.length > 0;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      close();
      (event.shiftKey ? onRun : onPlan)();
    } else if (open && plain && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      chosen = (chosen + (event.key === "ArrowDown" ? 1 : names.length - 1)) % names.length;
      draw();
    } else if (open && plain && (event.key === "Enter" || event.key === "Tab")) take(chosen);
    else if (open && event.key === "Escape") close();
    else if (plain && event.key === "ArrowUp" && !area.value.slice(0, area.selectionStart).includes("\n")) turn(1);
    else if (plain && event.key === "ArrowDown" && at > 0 && !area.value.slice(area.selectionEnd).includes("\n")) turn(-1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return {
    node,
    area,
    value: () => area.value,
    set(text) {
      area.value = text;
      at = 0;
      grow();
    },
    forget() {
      past = null;
      at = 0;
    },
  };
}
