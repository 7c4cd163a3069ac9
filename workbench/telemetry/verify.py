"""Whether an audit trail is what was recorded: each record as it was, all of them, in their order, up to the anchored
head."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

from workbench.telemetry.anchor import START, Anchor
from workbench.telemetry.audit import Trail, canonical, digest

Fault = Literal["edited", "deleted", "reordered", "inserted", "cut", "replaced", "no anchor", "no trail"]
"""edited: a record is not as it was. deleted: records are missing before this one. reordered: this one stands elsewhere
than it did. inserted: it was never recorded. cut: records are missing at the end. replaced: the trail is sound in
itself, but it is not this one. no anchor, no trail: one of the two files is gone."""

_WORDS = {
    "no anchor": "was parted from its anchor",
    "no trail": "was removed",
    "edited": "was changed: a record was edited",
    "cut": "was cut",
    "deleted": "was changed: records were deleted",
    "reordered": "was changed: records were put in another order",
    "inserted": "was changed: a record was put in",
    "replaced": "was replaced",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found. `records`: those that are sound, from the first one on. `at`: the number of the first bad record,
    from 0, None when the trail is sound. `detail` says it in words; `note` what is odd but no harm."""

    ok: bool
    records: int
    head: str = START
    fault: Fault | None = None
    at: int | None = None
    detail: str = ""
    note: str = ""

    def __str__(self) -> str:
        if self.ok:
            whole = f"The audit trail is whole: {self.records:,} records, head {self.head}." if self.records else ""
            return f"{whole} {self.note}".strip()
        sound = f"{self.records:,} before it {'is' if self.records == 1 else 'are'} sound." if self.records else ""
        return f"The audit trail {_WORDS.get(self.fault or 'edited', 'was changed')}. {self.detail} {sound}".rstrip()


def verify(trail: Trail, head: str = "") -> Verdict:
    """Check a trail from its first record to its anchor. `head`: a head that was noted elsewhere, which must be in it.

    Changes nothing. Raises OSError when a file cannot be read, Unavailable when the anchor is no anchor.
    """
    anchor, file = trail.opened()
    if file is None:
        if anchor is None or (not anchor.count and not head):
            return Verdict(ok=True, records=0, note="Nothing was recorded yet.")
        return Verdict(ok=False, records=0, fault="no trail", at=0, detail=f"{trail.path} is gone, or empty.")
    with file:
        return _chain(file, anchor, head)


def _chain(file: BinaryIO, anchor: Anchor | None, head: str) -> Verdict:
    count, last, line, met = 0, START, b"", head in ("", START)
    for line in _lines(file):
        record = _record(line)
        if record is None:
            break
        fault = _fault(record, count, last)
        if fault is not None:
            return _bad(*fault, count=count, last=last, file=file)
        count, last = count + 1, str(record["hash"])
        met = met or last == head
    else:
        line = b""
    return _end(count, last, line + file.read(), anchor, head="" if met else head)


def _fault(record: dict[str, Any], count: int, last: str) -> tuple[Fault, str] | None:
    if record.get("hash") != digest(record):
        return "edited", "it is not as it was recorded"
    seq = record.get("seq")
    if seq == count and record.get("prev") == last:
        return None
    if seq == count:
        return "edited", "it does not follow from the record before: one of the two was made anew"
    if isinstance(seq, int) and seq > count:
        return "deleted", f"it was recorded as number {seq}: what was before it is missing here"
    return "inserted", f"it was recorded as number {seq}, and stands here a second time or by itself"


def _bad(fault: Fault, detail: str, *, count: int, last: str, file: BinaryIO) -> Verdict:
    if fault == "deleted" and any((later := _record(line)) and later.get("seq") == count for line in _lines(file)):
        fault, detail = "reordered", "the record that belongs here stands further down"
    return Verdict(ok=False, records=count, head=last, fault=fault, at=count, detail=f"Record {count}: {detail}.")


def _end(count: int, last: str, rest: bytes, anchor: Anchor | None, head: str) -> Verdict:
    """The verdict on where a sound chain ends: `rest` is what stands behind its last record."""

    def no(fault: Fault, detail: str) -> Verdict:
        return Verdict(ok=False, records=count, head=last, fault=fault, at=count, detail=detail)

    note = ""
    noted = anchor.noted.encode("ascii") if anchor is not None else b""
    if anchor is None:
        return no(
            "no anchor", "The anchor in your own folder is gone: nobody can say whether these are all the records."
        )
    if noted and b"\n" not in rest and noted.startswith(rest) and (count, last) == (anchor.count, anchor.head):
        rest, note = b"", "A process ended while it wrote a record; the next one completes it."
    elif noted and (count, last) == (anchor.count + 1, digest(json.loads(noted))):
        note = "A process ended just after it wrote the last record."
    elif not rest and count < anchor.count:
        return no("cut", f"Record {count}: it is missing, with all behind it; the anchor knows {anchor.count}.")
    elif count > anchor.count:
        return no("inserted", f"Record {anchor.count}: the anchor knows only {anchor.count} records.")
    elif not rest and last != anchor.head:
        return no("replaced", f"The {count} records follow from each other, but they are not those of this trail.")
    if rest:
        return no("edited", f"Record {count}: what stands there is no record.")
    if head:
        return no("replaced", f"The head {head[:16]}… is not in this trail.")
    return Verdict(ok=True, records=count, head=last, note=note)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines from where the file stands, each with its end; the last may have none."""
    return iter(file.readline, b"")


def _record(line: bytes) -> dict[str, Any] | None:
    """The record of a line, None when it is not one, down to the last byte."""
    try:
        record = json.loads(line)
        whole = isinstance(record, dict) and f"{canonical(record)}\n".encode("ascii") == line
    except (ValueError, RecursionError):
        return None
    return record if whole else None
