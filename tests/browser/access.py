"""What eyes, keyboards and screen readers need of a piece of a page, computed from what the browser draws.

Each function gives what is wrong below what a locator finds, as lines that say where; nothing is the good case.
"""

from __future__ import annotations

from typing import Any

CONTRAST = 4.5
"""The least ratio of a text's luminance to that of what lies behind it (WCAG 2.2, AA)."""
OUTLINE_CONTRAST = 3.0
"""The same of the outline that says where the keyboard is."""
TARGET = 24
"""The least width and height, in CSS pixels, of what is clicked."""

# A colour in any notation becomes numbers by drawing it. What lies behind a text is all backgrounds from the root down
# to it, each over the one before; opacity fades a text into what lies behind the element that has it.
_COLOURS = """
const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
function rgba(colour) {
  const plain = colour.match(/^rgba?\\(([\\d.]+), ([\\d.]+), ([\\d.]+)(?:, ([\\d.]+))?\\)$/);
  if (plain) return [+plain[1], +plain[2], +plain[3], plain[4] === undefined ? 1 : +plain[4]];
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
}
const over = (top, below, alpha = top[3]) => [0, 1, 2].map((i) => top[i] * alpha + below[i] * (1 - alpha));
function chain(node) {
  const all = [];
  for (let at = node; at; at = at.parentElement ?? at.getRootNode().host) all.unshift(at);
  return all;
}
function behind(node) {
  return chain(node).reduce((colour, at) => over(rgba(getComputedStyle(at).backgroundColor), colour), [255, 255, 255]);
}
function drawn(node, colour) {
  const opacity = chain(node).reduce((product, at) => product * getComputedStyle(at).opacity, 1);
  return over(colour, behind(node), colour[3] * opacity);
}
function luminance(colour) {
  const [r, g, b] = colour.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function ratio(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}
const disabled = (node) => node.closest(":disabled, [aria-disabled=true]") !== null;
const name = (node) => `<${node.tagName.toLowerCase()} class="${node.className}"> ` +
  JSON.stringify((node.textContent || node.value || node.placeholder || "").trim().slice(0, 40));
const hex = (colour) => "#" + colour.map((value) => Math.round(value).toString(16).padStart(2, "0")).join("");
const controls = (root) => [...root.querySelectorAll(
  "button, input, select, textarea, summary, a[href], audio, [tabindex]:not([tabindex='-1'])",
)].filter((node) => node.checkVisibility() && !disabled(node));
"""
_CONTRAST = (
    "(root, least) => {"
    + _COLOURS
    + """
  const found = [];
  let seen = 0;
  function judge(node, colour, what) {
    seen += 1;
    const [text, ground] = [drawn(node, colour), behind(node)];
    const is = ratio(text, ground);
    if (is < least) found.push(`${is.toFixed(2)} ${hex(text)} on ${hex(ground)}: ${what}`);
  }
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !node.checkVisibility({visibilityProperty: true}) || disabled(node)) continue;
    judge(node, rgba(getComputedStyle(node).color), name(node));
  }
  for (const node of root.querySelectorAll("input, textarea, select")) {
    if (!node.checkVisibility() || disabled(node) || ["checkbox", "radio", "range"].includes(node.type)) continue;
    if (node.value) judge(node, rgba(getComputedStyle(node).color), name(node));
    const hint = getComputedStyle(node, "::placeholder").color;
    if (node.placeholder && !node.value) judge(node, rgba(hint), `placeholder of ${name(node)}`);
  }
  if (!seen) found.push("there is no text to judge");
  return found;
}"""
)
_TARGETS = (
    "(root, least) => {"
    + _COLOURS
    + """
  return controls(root).filter((node) => getComputedStyle(node).display !== "inline").flatMap((node) => {
    // The label of a box is as good a target as the box.
    const all = [node, ...(node.labels ?? [])].map((at) => at.getBoundingClientRect());
    const is = all.some((box) => box.width >= least - 0.01 && box.height >= least - 0.01);
    return is ? [] : [`${all[0].width.toFixed(1)} × ${all[0].height.toFixed(1)}: ${name(node)}`];
  });
}"""
)
_UNNAMED = (
    "(root) => {"
    + _COLOURS
    + """
  return controls(root).filter((node) => !(node.textContent.trim() || node.ariaLabel || node.title ||
    node.getAttribute("aria-labelledby") || (node.labels ?? []).length)).map(name);
}"""
)
_FOCUSED = (
    "([root, least]) => {"
    + _COLOURS
    + """
  const node = document.activeElement;
  if (!root.contains(node)) return null;
  const style = getComputedStyle(node);
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
  const colour = over(rgba(style.outlineColor), behind(node.parentElement));
  const is = ratio(colour, behind(node.parentElement));
  if (style.outlineStyle === "auto") return "";  // the browser's own ring: light and dark, so that it is seen on all
  if (!ring) return `no outline: ${name(node)}`;
  return is < least ? `${is.toFixed(2)} outline ${hex(colour)}: ${name(node)}` : "";
}"""
)
_MOVING = "root => root.getAnimations({subtree: true}).map((a) => a.animationName ?? a.transitionProperty)"


def dim(root: Any, least: float = CONTRAST) -> list[str]:
    """Every visible text below `root` whose contrast is less than it should be; what is disabled is not judged."""
    return [line for one in root.all() for line in one.evaluate(_CONTRAST, least)]


def small(root: Any) -> list[str]:
    """Every control below `root` that is less than 24 × 24 pixels, but for links within a line of text."""
    return [line for one in root.all() for line in one.evaluate(_TARGETS, TARGET)]


def unnamed(root: Any) -> list[str]:
    """Every control below `root` that has no name that could be read aloud."""
    return [line for one in root.all() for line in one.evaluate(_UNNAMED)]


def unseen_focus(root: Any, most: int = 60) -> list[str]:
    """Every control below `root` that the Tab key reaches without an outline that can be seen. Puts the focus on the
    first control and goes on from there, to the end of `root`."""
    page = root.page
    first = root.locator(":is(button, input, select, textarea):enabled, summary, a[href]").locator("visible=true").first
    first.focus()
    page.keyboard.press("Shift+Tab")  # and back by the keyboard, which is when a browser shows the focus
    page.keyboard.press("Tab")
    found, reached = [], 0
    for _ in range(most):
        said = page.evaluate(_FOCUSED, [root.element_handle(), OUTLINE_CONTRAST])
        if said is None:
            break
        reached += 1
        if said:
            found.append(str(said))
        page.keyboard.press("Tab")
    return found if reached else ["the Tab key reaches nothing"]


def moving(root: Any) -> list[str]:
    """What moves below `root` at this moment; nothing may where a reader asked for reduced motion."""
    return [line for one in root.all() for line in one.evaluate(_MOVING)]


def spoken(root: Any) -> list[str]:
    """The texts that a screen reader says of itself when they change."""
    return list(root.locator("[role=status], [role=alert]").all_inner_texts())


def count_updates(root: Any) -> None:
    """Count from now on how often something below `root` is changed, a clock excepted: see `updates`."""
    root.evaluate(
        """root => {
          window.updates = 0;
          new MutationObserver((all) => {
            if (all.some((one) => !(one.target.closest ? one.target : one.target.parentElement)?.closest(".clock")))
              window.updates += 1;
          }).observe(root, {subtree: true, childList: true, characterData: true, attributes: true});
        }"""
    )


def wait_updates(page: Any, count: int, seconds: float = 30) -> None:
    """Return when as many updates were counted."""
    page.wait_for_function("count => window.updates >= count", arg=count, timeout=seconds * 1000)
