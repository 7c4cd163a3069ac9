"""What is wrong with what is remembered: duplicates, echoes of itself, secrets, and what has grown old."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from workbench.core.request import Scope
from workbench.memory.base import Hit, Memory
from workbench.memory.fold import Likeness, echoes, says_the_same

OLD: dict[str, timedelta] = {"episode": timedelta(days=180)}
"""After how long a memory of a kind is stale; one that is pinned never is."""

_OLD = timedelta(days=730)
_KEY = re.compile(
    r"\b(?:sk|pk|rk|ghp|gho|glpat|xox[abp]|tvly)[-_][\w-]{12,}|\bAKIA[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.|(?:password|passwd|secret|token|api[_ -]?key)\s*[=:]\s*\S{6,}"
    r"|\w+://[^\s/:@]+:[^\s/@]+@",
    re.IGNORECASE,
)


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
    order = {hit.id: number for number, hit in enumerate(hits)}
    findings: list[Finding] = []
    for hit in hits:
        text = hit.text
        if (clean := _KEY.sub("[redacted]", redact(text))) != text:
            hit = replace(hit, text=clean)
            findings.append(Finding(what="secret", hit=hit, detail="it holds what looks like a key or a password"))
        if not hit.pinned and (age := _age(hit, now)) > OLD.get(hit.kind, _OLD):
            findings.append(Finding(what="stale", hit=hit, detail=f"{hit.kind} of {age.days} days ago"))
        for older in await memory.recall(text, scope, 6):
            if order.get(older.id, len(hits)) >= order[hit.id] or older.kind != hit.kind:
                continue
            if says_the_same(text, older.text, older.cosine if older.recall == "semantic" else None, likeness):
                findings.append(Finding(what="duplicate", hit=hit, other=older, detail="says the same"))
            elif hit.by == "tool" and echoes(text, older.text):
                findings.append(Finding(what="loop", hit=hit, other=older, detail="a recalled text, stored again"))
            else:
                continue
            break
    gravest = ("secret", "loop", "duplicate", "stale")
    return sorted(findings, key=lambda finding: gravest.index(finding.what))


def _age(hit: Hit, now: datetime) -> timedelta:
    try:
        written = datetime.fromisoformat(hit.at)
    except ValueError:
        return timedelta()
    return now - (written if written.tzinfo else written.replace(tzinfo=UTC))
