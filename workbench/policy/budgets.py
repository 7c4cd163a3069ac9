"""How much a user may use in a day and a month, over all notebooks and terminals of a project.

Two processes that look at the same record would both see room for one more call. So each first says what it sets aside,
in an event, and then counts what stands in the record up to that event: of two that come at once the record has put one
before the other, and the second sees the first. When the call is over, a second event says what it really took. A call
whose process died keeps what it had set aside: it may have been paid for.

Counting takes about as long as a query. Far from every limit it is left out for a while.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from workbench.core.errors import BudgetExceeded
from workbench.core.events import Event, Kind
from workbench.core.settings import Settings
from workbench.core.usage import Estimate, Limits, Period, Use, What, dollars

WHATS: tuple[What, ...] = ("calls", "tokens", "images", "seconds", "usd")
PERIODS: tuple[Period, ...] = ("day", "month")
_FAR = Decimal("0.1")
"""Below this share of each limit a count is believed for `_SECONDS`: ten processes at once still stay within it."""
_SECONDS = 10.0

A_CALL = Use(calls=1, seconds=0.001)
"""What is set aside for a call: how long it takes nobody knows, so it is let go while any time is left."""
A_MODEL_CALL = A_CALL + Use(usd=Decimal("0.000001"))

Spent = Callable[[str, datetime, str | None], Awaitable[Use]]
"""`spent(user, since, reservation)`: as `Memory.spent` counts it."""


class Tell(Protocol):
    """Tells an event of a run."""

    def __call__(self, kind: Kind, body: Mapping[str, Any], *, step: str | None = None) -> Event: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What is used of one limit."""

    what: What
    period: Period
    used: Decimal
    limit: Decimal

    def __str__(self) -> str:
        of = f"{_number(self.used)} of {_number(self.limit)}"
        return f"{of} {self.what} this {self.period}"


class Budgets:
    """The budgets of one user. `spent` counts what was used; `now` and `clock` are parameters for tests."""

    def __init__(
        self,
        limits: Limits,
        user: str,
        spent: Spent,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self._user = user
        self._spent = spent
        self._now = now
        self._clock = clock
        self._known: dict[Period, Use] = {}
        self._own = Use()
        self._known_at: tuple[float, datetime] | None = None

    async def left(self) -> list[Left]:
        """What is used of each limit now, with what is set aside; empty when nothing is limited."""
        used = await self._count(None)
        return [
            Left(what=what, period=period, used=used[period].of(what), limit=limit)
            for (what, period), limit in self.limits.items()
        ]

    async def admit(self) -> None:
        """Raises BudgetExceeded when something is used up already, so that a run need not begin."""
        if self.limits:
            self._check(await self._count(None), None)

    async def reserve(self, use: Use, tell: Tell, step: str | None = None) -> Reservation:
        """Set `use` aside. Raises BudgetExceeded when there is not so much left, Unavailable when that cannot be
        counted; then nothing is set aside."""
        held = Reservation(uuid.uuid4().hex, tell, step, self._used)
        if not self.limits:
            return held
        held.say(use)
        try:
            self._used(use)
            if not self._is_far():
                self._check(await self._count(held.name), use)
        except BudgetExceeded as error:
            held.say(Use(), settled=True, **error.data)
            raise
        except BaseException:
            held.say(Use(), settled=True)
            raise
        held.open = True
        return held

    async def room_for(self, use: Use) -> None:
        """Raises BudgetExceeded when there is not so much left. Nothing is set aside: what really came is counted."""
        if not self.limits:
            return
        used = await self._count(None)
        for (what, period), limit in self.limits.items():
            if (want := use.of(what)) and used[period].of(what) + want > limit:
                raise self._exceeded(what, period, limit, used[period].of(what), want)

    def for_model(self, tell: Tell) -> Callable[[Estimate], AbstractAsyncContextManager[Callable[..., None]]]:
        """What admits the calls of a model in a run: entered with what a call is likely to take, left when it is
        over."""

        @asynccontextmanager
        async def admitted(estimate: Estimate) -> AsyncIterator[Callable[..., None]]:
            started = self._clock()
            priced = any(what == "usd" for what, _ in self.limits)
            likely = Use(tokens=estimate.tokens, usd=estimate.likely if priced else Decimal(0))
            held = await self.reserve(A_MODEL_CALL + likely, tell)
            took = likely + Use(calls=1)  # of a call that was broken off nobody says what it cost

            def spent(*, tokens: int, usd: str | None, calls: int = 1) -> None:
                nonlocal took
                took = Use(calls=calls, tokens=tokens, usd=dollars(usd))

            try:
                yield spent
            finally:
                held.settle(took + Use(seconds=round(self._clock() - started, 6)))

        return admitted

    async def _count(self, reservation: str | None) -> dict[Period, Use]:
        periods = {period for _, period in self.limits}
        now = self._now()
        counted = {
            period: await self._spent(self._user, begins(period, now), reservation)
            for period in PERIODS
            if period in periods
        }
        self._known, self._own, self._known_at = counted, Use(), (self._clock(), begins("day", now))
        return counted

    def _used(self, use: Use) -> None:
        self._own += use  # counted twice, before and after: that is on the safe side until the next count

    def _is_far(self) -> bool:
        if self._known_at is None or self._known_at[1] != begins("day", self._now()):
            return False
        near = (
            (self._known[period] + self._own).of(what) > limit * _FAR for (what, period), limit in self.limits.items()
        )
        return self._clock() - self._known_at[0] < _SECONDS and not any(near)

    def _check(self, used: Mapping[Period, Use], asked: Use | None) -> None:
        """Raises BudgetExceeded when `used`, with what is `asked` in it, is too much; None: when nothing more would
        fit."""
        for (what, period), limit in self.limits.items():
            have = used[period].of(what)
            if asked is None:
                if have >= limit and what != "images":  # a request may do without pictures
                    raise self._exceeded(what, period, limit, have, Decimal(0))
            elif (want := asked.of(what)) and have > limit:
                raise self._exceeded(what, period, limit, have - want, want)

    def _exceeded(self, what: What, period: Period, limit: Decimal, used: Decimal, want: Decimal) -> BudgetExceeded:
        now = self._now()
        resets = ends(period, now)
        setting = f"{what}_per_{period}"
        more = f", and this takes {_number(want)} more" if want >= 1 and used < limit else ""
        return BudgetExceeded(
            f"The budget of {what} for this {period} is used up: {_number(used)} of {_number(limit)}{more}."
            f" It begins anew at {resets:%Y-%m-%d %H:%M} UTC, in {_wait(resets - now)}.",
            hint=f"Wait, or raise {setting} in your settings (WORKBENCH_{setting.upper()}).",
            what=what,
            period=period,
            limit=_json(limit),
            used=_json(used),
            resets=resets.isoformat(),
        )


class Reservation:
    """What is set aside for one call, until `settle` says what it took."""

    def __init__(self, name: str, tell: Tell, step: str | None, used: Callable[[Use], None]) -> None:
        self.name = name
        self.open = False
        self._tell = tell
        self._step = step
        self._used = used

    def settle(self, use: Use) -> None:
        """Count `use` in place of what was set aside. Once; later calls change nothing."""
        if self.open:
            self.open = False
            self._used(use)
            self.say(use, settled=True)

    def say(self, use: Use, *, settled: bool = False, **more: Any) -> None:
        """Tell the event."""
        body = {"reservation": self.name, "use": use.dump(), "settled": settled, **more}
        self._tell(Kind.BUDGET, body, step=self._step)


def limits_of(settings: Settings) -> Limits:
    """The limits that the settings name."""
    found = {(what, period): getattr(settings, f"{what}_per_{period}") for what in WHATS for period in PERIODS}
    return {key: Decimal(str(limit)) for key, limit in found.items() if limit is not None}


def begins(period: Period, now: datetime) -> datetime:
    """When the period that holds `now` began, in UTC."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day if period == "day" else day.replace(day=1)


def ends(period: Period, now: datetime) -> datetime:
    """When the period that holds `now` ends, in UTC."""
    start = begins(period, now)
    return begins(period, start + timedelta(days=1 if period == "day" else 32))


def _number(amount: Decimal) -> str:
    return f"{amount:,.2f}".rstrip("0").rstrip(".")


def _json(amount: Decimal) -> int | float:
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def _wait(span: timedelta) -> str:
    minutes = max(1, round(span.total_seconds() / 60))
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{round(minutes / 60)} hours" if minutes < 2880 else f"{round(minutes / 1440)} days"
