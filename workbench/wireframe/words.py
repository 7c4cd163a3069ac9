"""Elements from words: "login page with an email field, a password field and a Sign in button".

A small grammar and no understanding. A clause is an element when it has a word for one; the words before that, or in
quotes, are its text. "with", "containing" and a colon say what an element holds. Every other word is left out, and
said to be.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from workbench.wireframe.kinds import (
    HOLDERS,
    IN_A_BAR,
    LISTED,
    MAX_ITEMS,
    NAMED,
    NOUN,
    SECTIONS,
    Asked,
    Element,
    Side,
    one_line,
)

MAX_OF_A_KIND = 24
"""That a number may ask for."""

_QUOTED = re.compile(r"“([^”]*)”|\"([^\"]*)\"|«([^»]*)»|(?<!\w)'([^']+)'(?!\w)|`([^`]*)`")
_HELD = re.compile("⟦(\\d+)⟧")
_SENTENCE = re.compile(r"\n+|;|(?<=[\w⟧)])[.!?](?:\s+|$)")
_CLAUSE = re.compile(
    r"\s*(,|:|\band\b|&|\+|\bplus\b|\bwith\b|\bcontaining\b|\bholding\b|\bfollowed by\b|\bthen\b)\s*", re.IGNORECASE
)
_OPENS = {"with", "containing", "holding", ":"}
_ARTICLE = re.compile(r"\s*(?:an?|the|one|another|some)\s", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)])\s+")
_ASKED = re.compile(
    r"^(?:please\s+)?"
    r"(?:(?:draw|sketch|make|create|design|show|build|give me|i want|i need|add|include|use|put)\s+(?:me\s+)?)?"
    r"(?:(?:a|an|the|one|another|some|also|there is|there are|it has|has|have|below|beneath|underneath|above|below it|"
    r"under it|its?|then|next|first|second|third|finally|at the top|at the bottom|on top|"
    r"(?:ui\s+|simple\s+|low-fidelity\s+)?(?:wireframe|mock-?up|sketch|ui|user interface|layout)s?\s+"
    r"(?:of|for|showing))\b\s*,?\s*)*",
    re.IGNORECASE,
)
_SCREEN = re.compile(
    r"(?:(?P<name>.*?)\s+)?(?P<noun>page|screen|view|app|application|site|website|web page|dashboard|window|ui|"
    r"interface|wireframe|mock-?up)s?(?:\s+(?:for|of)\s+(?P<for>.+))?",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"\b(?:(?P<text>titled|called|labelled|labeled|named|saying|reading|that says|that reads)"
    r"|(?P<of>of|for|showing|about|listing)"
    r"|(?P<other>that|which|who|to|in|on|at|under|below|beneath|above|beside|next|from|by|when|so|over|inside|across))\b",
    re.IGNORECASE,
)
_SIDE = re.compile(r"\b(?:on|at|to)\s+the\s+(left|right)(?:\s+(?:side|hand side))?\b", re.IGNORECASE)
_PARTS = re.compile(r"^(?:columns?|items?|links?|options?|rows?|entries|choices|pages)\b\s*(?:for\s+)?", re.IGNORECASE)
"""In "a table with columns A and B" it is no word for an element."""
_NUMBERS = {
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "twelve": 12,
}
_NUMBER = re.compile(rf"^(\d{{1,3}}|{'|'.join(_NUMBERS)})\b\s*", re.IGNORECASE)
_STYLE = re.compile(
    r"\b(?:big|large|small|tiny|huge|wide|narrow|tall|bold|round|rounded|red|green|blue|yellow|orange|purple|pink|black|white|"
    r"grey|gray|dark|light|bright|colou?rful|animated|sticky|fixed|floating|responsive|modern|beautiful|clean|nice|fancy|"
    r"gradient|transparent|glowing|spinning|centered|centred|full-width)\b",
    re.IGNORECASE,
)


@dataclass(slots=True)
class _Reading:
    """What has been read so far. `holder`: the element, if any, that takes what follows; `waiting`: words that may
    share the noun of a later clause, as "email and password fields"."""

    asked: Asked
    quotes: list[str]
    made: list[_Draft] = field(default_factory=list)
    holders: list[_Draft] = field(default_factory=list)
    last: list[_Draft] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Draft:
    """An element that may still get items and others inside of it."""

    element: Element
    inside: list[_Draft] = field(default_factory=list)

    def whole(self) -> Element:
        return replace(self.element, inside=tuple(draft.whole() for draft in self.inside))


def read_words(text: str, asked: Asked) -> None:
    """Add the elements that a text names to `asked`, and everything else in it to what is left out."""
    quotes: list[str] = []

    def hold(found: re.Match[str]) -> str:
        quotes.append(one_line(next(group for group in found.groups() if group is not None)))
        return f" ⟦{len(quotes) - 1}⟧ "

    plain = _QUOTED.sub(hold, text.replace("⟦", " ").replace("⟧", " "))
    reading = _Reading(asked, quotes)
    for number, sentence in enumerate(_SENTENCE.split(plain)):
        _sentence(reading, _BULLET.sub("", sentence or ""), first=number == 0)
    asked.elements += [draft.whole() for draft in reading.made]


def _sentence(reading: _Reading, sentence: str, *, first: bool) -> None:
    reading.holders, reading.last = [], []
    pieces = _CLAUSE.split(sentence)
    sign = ""
    for at in range(0, len(pieces), 2):
        sign_after = pieces[at + 1].lower() if at + 1 < len(pieces) else ""
        said = one_line(pieces[at])
        clause = " ".join(_ASKED.sub("", said, count=1).split())
        if clause:
            bare = _ARTICLE.match(said) is None
            _clause(reading, clause, sign, sign_after, first=first and at == 0, bare=bare)
        sign = sign_after if clause or sign_after in _OPENS else sign
    _give_up(reading)


def _clause(reading: _Reading, clause: str, sign: str, sign_after: str, *, first: bool, bare: bool) -> None:
    """Read one clause. `bare`: no article or number stands before it, as in a list of mere names."""
    if sign in _OPENS:
        opened = [draft for draft in reading.last if draft.element.kind in HOLDERS | LISTED]
        reading.holders = opened or reading.holders
    elif sign in ("then", "followed by"):
        reading.holders = []
    listed = [draft for draft in reading.holders if draft.element.kind in LISTED - HOLDERS]
    if listed and (parts := _PARTS.match(clause)):
        clause, bare = clause[parts.end() :], True
        if not clause:
            return
    begins = sign_after == ":" and NAMED.get(clause.lower())  # "a list with Ana and Bruno, tabs: Chats, Calls"
    if listed and bare and not begins and not _NUMBER.match(clause):
        _no_noun(reading, clause, sign, sign_after)
        return
    if first and (screen := _SCREEN.fullmatch(clause)):
        _screen(reading, screen)
        return
    side = _SIDE.search(clause)
    if side:
        clause = _SIDE.sub(" ", clause, count=1).strip()
    head, tail, how = _parted(clause)
    noun = _last(head)
    if noun is None:
        _no_noun(reading, clause, sign, sign_after)
        return
    if first and sign_after in _OPENS and _HELD.sub("", head[noun.end() :]).strip():  # "photo gallery with …"
        reading.asked.title = _shown(reading, clause)
        return
    kind = NAMED[" ".join(noun[0].lower().split())]
    text, count, strong = _described(reading, head[: noun.start()], head[noun.end() :])
    if tail and how == "text":
        reading.asked.leave_out(text)
        text = _shown(reading, _without(tail, _TAIL))
    elif tail and (how == "other" or text):
        reading.asked.leave_out(_back(reading, tail))
    elif tail:
        text = _shown(reading, _without(tail, _TAIL))
    where: Side = "" if not side else "left" if side[1].lower() == "left" else "right"
    made = [Element(kind=kind, text=text, side=where, strong=strong) for _ in range(min(count, MAX_OF_A_KIND))]
    if count > MAX_OF_A_KIND:
        reading.asked.leave_out(f"{count - MAX_OF_A_KIND} more of “{noun[0]}”", f"at most {MAX_OF_A_KIND}")
    if reading.waiting and noun[0].lower().endswith("s"):
        made = [Element(kind=kind, text=_shown(reading, word)) for word in reading.waiting] + made
        reading.waiting = []
    _give_up(reading)
    _place(reading, [_Draft(element) for element in made])


def _screen(reading: _Reading, screen: re.Match[str]) -> None:
    """The first clause names the screen itself: that is its title."""
    name, noun = _shown(reading, screen["name"] or ""), screen["noun"]
    plain = noun.lower().startswith(("wireframe", "mock", "ui"))
    for style in _STYLE.findall(name):
        reading.asked.leave_out(style, "style")
    name = " ".join(_STYLE.sub(" ", name).split())
    whole = f"{name} {noun}" if name and not plain else name or ("" if plain else noun)
    if screen["for"]:
        whole = f"{whole} for {_back(reading, screen['for'])}".strip()
    reading.asked.title = whole[:1].upper() + whole[1:]


def _parted(clause: str) -> tuple[str, str, str]:
    """What names the element, what is said of it after that, and whether that is its text, what it is of, or other."""
    for found in _TAIL.finditer(clause):
        if NOUN.search(clause[: found.start()]):
            how = "text" if found["text"] else "of" if found["of"] else "other"
            return clause[: found.start()].strip(), clause[found.start() :].strip(), how
    return clause, "", ""


def _last(head: str) -> re.Match[str] | None:
    return next(reversed(list(NOUN.finditer(head))), None)


def _described(reading: _Reading, before: str, after: str) -> tuple[str, int, bool]:
    """Text, number and weight from the words around a noun. Words of style are left out, and said to be."""
    quoted = [reading.quotes[int(found[1])] for found in _HELD.finditer(f"{before} {after}")]
    before, after = _HELD.sub(" ", before).strip(), " ".join(_HELD.sub(" ", after).split())
    count = 1
    if number := _NUMBER.match(before):
        count = int(number[1]) if number[1].isdigit() else _NUMBERS[number[1].lower()]
        before = before[number.end() :]
    strong = bool(re.search(r"\bprimary\b", before, re.IGNORECASE))
    before = re.sub(r"\b(?:primary|secondary|a|an|the|more|other)\b", " ", before, flags=re.IGNORECASE)
    for style in _STYLE.findall(before):
        reading.asked.leave_out(style, "style")
    before = " ".join(_STYLE.sub(" ", before).split())
    if after:
        reading.asked.leave_out(after)
    if quoted:
        if before:
            reading.asked.leave_out(before)
        for more in quoted[1:]:
            reading.asked.leave_out(f"“{more}”", "one text each")
        return quoted[0], count, strong
    return before[:1].upper() + before[1:], count, strong


def _no_noun(reading: _Reading, clause: str, sign: str, sign_after: str) -> None:
    """Words without an element: an item of what is open, a text that waits for a noun, or nothing that is drawn."""
    open_for = [draft for draft in reading.holders if draft.element.kind in LISTED]
    said = _shown(reading, clause)
    if open_for and not any(draft.inside for draft in open_for):
        for draft in open_for:
            if len(draft.element.items) < MAX_ITEMS:
                draft.element = replace(draft.element, items=(*draft.element.items, said))
            else:
                reading.asked.leave_out(said, f"at most {MAX_ITEMS} items")
    elif sign == ":" and reading.last and not reading.last[-1].element.text and len(reading.last) == 1:
        reading.last[-1].element = replace(reading.last[-1].element, text=said)
    elif (sign == ":" or (sign in (",", "and") and not reading.waiting)) and _shares(reading, said):
        return
    else:
        reading.waiting.append(clause)
        if sign_after not in (",", "and", "&"):
            _give_up(reading)


def _shares(reading: _Reading, said: str) -> bool:
    """Whether a text goes to the next of several alike that have none yet: "three cards: A, B, C"."""
    free = next((draft for draft in reading.last if not draft.element.text), None)
    if len(reading.last) < 2 or free is None:
        return False
    free.element = replace(free.element, text=said)
    return True


def _place(reading: _Reading, made: list[_Draft]) -> None:
    kind = made[0].element.kind
    if reading.holders:
        bar = reading.holders[0].element.kind in ("header", "footer")
        fits = kind in IN_A_BAR if bar else kind not in SECTIONS
        holders = [draft for draft in reading.holders if draft.element.kind in HOLDERS]
        if fits and holders:
            for at, draft in enumerate(holders):
                draft.inside += made if at == 0 else [_Draft(one.element) for one in made]
            reading.last = made
            return
        reading.holders = []
    reading.made += made
    reading.last = made


def _give_up(reading: _Reading) -> None:
    for word in reading.waiting:
        reading.asked.leave_out(_back(reading, word))
    reading.waiting = []


def _shown(reading: _Reading, text: str) -> str:
    """A text with what was quoted in it back in its place, and a capital where it has none."""
    shown = _back(reading, text)
    return shown[:1].upper() + shown[1:] if shown and shown == shown.lower() and len(shown) < 60 else shown


def _back(reading: _Reading, text: str) -> str:
    return " ".join(_HELD.sub(lambda found: reading.quotes[int(found[1])], text).split())


def _without(text: str, pattern: re.Pattern[str]) -> str:
    return pattern.sub("", text, count=1).strip()
