"""What is wrong with what is remembered: duplicates, echoes of itself, secrets, and what has grown old."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from workbench.core.request import Scope
from workbench.memory.base import Hit, Memory
from workbench.memory.fold import NEAR, Likeness, echoes, says_the_same, wording

OLD: dict[str, timedelta] = {"episode": timedelta(days=180)}
"""After how long a memory of a kind is stale; one that is pinned never is."""

_OLD = timedelta(days=730)
_KEY = re.compile(
    r"\b(?:sk|pk|rk|ghp|gho|glpat|xox[abp]|tvly)[-_][\w-]{12,}|\bAKIA[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.|(?:password|passwd|secret|token|api[_ -]?key)\s*[=:]\s*\S{6,}"
    r"|\w+://[^\s/:@]+:[^\s/@]+@",
    re.IGNORECASE,
)


_AT_ONCE = 32
"""Questions that are asked at once: each waits for a thread."""

_ALIKE = 8
"""Texts of the same words that do not say the same, such as names with and without a capital."""

Repeat = Literal["duplicate", "loop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to look at. `hit` is the memory that could go, without what is secret; `other` the one that it
    repeats."""

    what: Literal["secret", "duplicate", "loop", "stale"]
    hit: Hit
    detail: str
    other: Hit | None = None


async def audit(
    memory: Memory, scope: Scope, *, redact: Callable[[str], str], likeness: Likeness, now: datetime
) -> Sequence[Finding]:
    """What was found in this scope, the gravest first. `redact` takes known secrets out of a text."""
    hits = [hit for hit in reversed(await memory.memories(scope)) if not hit.closed_by]
    shown, findings = await asyncio.to_thread(_each, hits, redact, now)
    repeats = await asyncio.to_thread(_worded_alike, hits)
    order = {hit.id: number for number, hit in enumerate(hits)}
    compares_meanings = True  # until an answer says otherwise
    rest = [hit for hit in hits if hit.id not in repeats]
    for start in range(0, len(rest), _AT_ONCE):
        some = [hit for hit in rest[start : start + _AT_ONCE] if compares_meanings or hit.by == "tool"]
        near = await asyncio.gather(*(memory.recall(hit.text, scope, 6) for hit in some))
        compares_meanings &= all(one.recall == "semantic" for found in near for one in found)
        for hit, found in zip(some, near, strict=True):
            older = [one for one in found if one.kind == hit.kind and order.get(one.id, len(hits)) < order[hit.id]]
            if (repeat := _repeats(hit, older, likeness)) is not None:
                repeats[hit.id] = repeat
    for name, (what, other) in repeats.items():
        detail = "says the same" if what == "duplicate" else "a recalled text, stored again"
        findings.append(Finding(what=what, hit=shown[name], other=other, detail=detail))
    gravest = ("secret", "loop", "duplicate", "stale")
    return sorted(findings, key=lambda finding: (gravest.index(finding.what), order[finding.hit.id]))


def _each(hits: Sequence[Hit], redact: Callable[[str], str], now: datetime) -> tuple[dict[str, Hit], list[Finding]]:
    """The memories by id without what is secret, and what is to be said of each by itself."""
    shown: dict[str, Hit] = {}
    findings: list[Finding] = []
    for hit in hits:
        clean = _KEY.sub("[redacted]", redact(hit.text))
        shown[hit.id] = told = replace(hit, text=clean)
        if clean != hit.text:
            findings.append(Finding(what="secret", hit=told, detail="it holds what looks like a key or a password"))
        if not hit.pinned and (age := _age(hit, now)) > OLD.get(hit.kind, _OLD):
            findings.append(Finding(what="stale", hit=told, detail=f"{hit.kind} of {age.days} days ago"))
    return shown, findings


def _worded_alike(hits: Sequence[Hit]) -> dict[str, tuple[Repeat, Hit]]:
    """Those that say the same as an older one in the same words: found without comparing each with each."""
    found: dict[str, tuple[Repeat, Hit]] = {}
    by_words: dict[tuple[str, ...], list[Hit]] = {}
    for hit in hits:
        older = by_words.setdefault((hit.kind, *wording(hit.text)), [])
        same = next((one for one in older if says_the_same(hit.text, one.text)), None)
        if same is not None:
            found[hit.id] = ("duplicate", same)
        elif len(older) < _ALIKE:
            older.append(hit)
    return found


def _repeats(hit: Hit, older: Sequence[Hit], likeness: Likeness) -> tuple[Repeat, Hit] | None:
    """The first of some older memories that says the same, or that a tool has only said again."""
    for one in older:
        cosine = one.cosine if one.recall == "semantic" else None
        if cosine is not None and cosine >= NEAR and says_the_same(hit.text, one.text, cosine, likeness):
            return "duplicate", one
        if hit.by == "tool" and echoes(hit.text, one.text):
            return "loop", one
    return None


def _age(hit: Hit, now: datetime) -> timedelta:
    try:
        written = datetime.fromisoformat(hit.at)
    except ValueError:
        return timedelta()
    return now - (written if written.tzinfo else written.replace(tzinfo=UTC))
