"""How much one run may use, or several runs together: reserved before a call is made, settled after it.

Steps and calls are counted where they begin. What a call of a model will take nobody knows before: so much is set aside
as its prompt and a reply are likely to take, or as the dearest call so far took. A call for which there is no room
beside those under way waits for them; when none is under way it goes alone, as long as its prompt is affordable. Until
the first call has told what it really took, calls go one at a time. So runs at the same time overshoot by one call at
most, unless one takes more than any before it. A model that knows no price for itself is not asked on money.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal

from workbench.core.budget import Budget, Limited, read, said
from workbench.core.errors import BudgetExceeded
from workbench.core.events import AnyEvent, Kind
from workbench.core.retries import Retries
from workbench.core.usage import Estimate, Use, dollars
from workbench.policy.approval import Approver, Asked, Decision

HINT = "What is done is kept; `resume last` with a larger --budget goes on from there."
_LOCK = threading.Lock()
"""Held for a few lines at a time: runs that share a budget may be on several event loops."""


class RunBudget:
    """What a run may use. `within`: a budget that it shares with other runs; what it uses counts there too.

    `exceeded` is the error that the run was stopped with, None as long as it was not.
    """

    def __init__(self, limits: Budget | None = None, *, within: RunBudget | None = None) -> None:
        self.limits = limits or Budget()
        self.used = Use()
        self.steps = 0
        self.retries = Retries()
        self.exceeded: BudgetExceeded | None = None
        self._within = within
        self._under_way: list[Use] = []
        self._most = Use()
        self._unpriced = False
        self._clock: asyncio.Timeout | None = None
        self._began = 0.0
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def narrow(self, limits: Budget | None) -> None:
        """Allow no more than `limits` from now on, and no more than before."""
        self.limits = self.limits.narrowed(limits)
        self._set_clock()

    def resume(self, events: Iterable[AnyEvent]) -> None:
        """Count what an earlier attempt of the run has used, as its events tell it."""
        for event in events:
            match event.kind, event.body:
                case Kind.STEP_INTENT, _:
                    self.steps += 1
                case Kind.TOOL_CALLED, _:
                    self.used += Use(calls=1)
                case Kind.MODEL_CALLED, body:
                    tokens = int(body.get("tokens_in") or 0) + int(body.get("tokens_out") or 0)
                    self.used += Use(calls=1, tokens=tokens, usd=dollars(body.get("usd")))

    def patient(self, approver: Approver) -> Approver:
        """The approver, during whose questions the clock stands."""

        async def asked(question: Asked) -> Decision:
            with self.standing():
                return await approver(question)

        return asked

    def all_limits(self) -> Budget:
        """What is allowed, that of shared budgets counted in."""
        limits = self.limits
        for budget in self._chain():
            limits = limits.narrowed(budget.limits)
        return limits

    def told(self) -> dict[str, dict[Limited, float | int]]:
        """What the first event of a run says of its budget; nothing when there is none."""
        limits = self.all_limits().limits()
        return {"budget": limits} if limits else {}

    def begin_step(self) -> None:
        """Count a step. Raises BudgetExceeded when none is left."""
        with _LOCK:
            for budget in self._chain():
                if budget._over("steps", budget.steps + 1):
                    raise self._stop(budget, "steps")
            for budget in self._chain():
                budget.steps += 1

    def begin_call(self) -> None:
        """Count a try of a tool call. Raises BudgetExceeded when none is left."""
        with _LOCK:
            for budget in self._chain():
                budget._admit_call(self)
            for budget in self._chain():
                budget.used += Use(calls=1)

    @asynccontextmanager
    async def for_model(self, estimate: Estimate) -> AsyncIterator[Callable[..., None]]:
        """Entered around a call of a model, as soon as there is room for it; takes what it was found to have used.

        Raises BudgetExceeded.
        """
        held = await self._reserve(estimate)
        took, known = held, True  # of a call that was broken off nobody says what it cost

        def spent(*, tokens: int, usd: str | None, calls: int = 1) -> None:
            nonlocal took, known
            took, known = Use(calls=calls, tokens=tokens, usd=dollars(usd)), usd is not None or not tokens

        try:
            yield spent
        finally:
            with _LOCK:
                for budget in self._chain():
                    budget._settle(held, took, known)

    @asynccontextmanager
    async def on_time(self) -> AsyncIterator[None]:
        """Around a run: stops it, as a cancellation does, when its seconds are over. Raises BudgetExceeded then."""
        self._began = asyncio.get_running_loop().time()
        clock = self._clock = asyncio.timeout(None)
        try:
            async with clock:
                self._set_clock()
                yield
        except TimeoutError:
            if not clock.expired():
                raise
            raise self._stop(self, "seconds") from None

    @contextmanager
    def standing(self) -> Iterator[None]:
        """While a person is asked, the clock stands."""
        since = asyncio.get_running_loop().time()
        if self._clock is not None and not self._clock.expired():
            self._clock.reschedule(None)
        try:
            yield
        finally:
            self._began += asyncio.get_running_loop().time() - since
            self._set_clock()

    def _set_clock(self) -> None:
        seconds = self.all_limits().seconds
        if self._clock is not None and not self._clock.expired():
            self._clock.reschedule(None if seconds is None else self._began + seconds)

    async def _reserve(self, estimate: Estimate) -> Use:
        # To find a price takes longer than to ask whether one is needed.
        limited = any(budget.limits.usd is not None for budget in self._chain())
        while True:
            with _LOCK:
                for budget in self._chain():
                    budget._admit_call(self)
                    budget._admit_model(self, estimate)
                tokens = max(estimate.tokens, *(budget._most.tokens for budget in self._chain()))
                held = Use(calls=1, tokens=tokens)
                if limited:
                    held += Use(usd=max(estimate.likely, *(budget._most.usd for budget in self._chain())))
                if all(not budget._under_way or budget._has_room(held) for budget in self._chain()):
                    for budget in self._chain():
                        budget._under_way.append(held)
                    return held
                freed = asyncio.Event()
                for budget in self._chain():
                    budget._waiting.append((asyncio.get_running_loop(), freed))
            await freed.wait()

    def _admit_call(self, run: RunBudget) -> None:
        if self._over("calls", self.used.calls + len(self._under_way) + 1):
            raise run._stop(self, "calls")

    def _admit_model(self, run: RunBudget, estimate: Estimate) -> None:
        """Raises BudgetExceeded when nothing is left, or too little for the prompt alone."""
        least_of: dict[Limited, Callable[[], Decimal]] = {
            "usd": lambda: estimate.least,
            "tokens": lambda: Decimal(estimate.prompt),
        }
        for name, least in least_of.items():
            used, limit = self._amount(name), self._limit(name)
            if limit is not None and (used >= limit or used + least() > limit):
                raise run._stop(self, name, least() if used < limit else None)
        if self.limits.usd is not None and (self._unpriced or estimate.is_unpriced):
            run.exceeded = BudgetExceeded(
                "The price of this model is not known, so a budget in money cannot hold it.",
                hint="Set the budget in tokens or calls.",
                what="usd",
                limit=self.limits.usd,
            )
            raise run.exceeded

    def _has_room(self, held: Use) -> bool:
        """Whether a call fits beside those under way."""
        used = self.used
        for other in [*self._under_way, held]:
            used += other
        if not self._most.calls and (self.limits.usd is not None or self.limits.tokens is not None):
            return False  # no call has told yet what it took, and an estimate may be far off: one at a time until then
        return not (self._over("usd", used.usd) or self._over("tokens", used.tokens))

    def _settle(self, held: Use, took: Use, known: bool) -> None:
        self._under_way.remove(held)
        self.used += took
        self._most = Use(calls=1, tokens=max(self._most.tokens, took.tokens), usd=max(self._most.usd, took.usd))
        self._unpriced = self._unpriced or not known
        waiting, self._waiting = self._waiting, []
        for loop, freed in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(freed.set)

    def _stop(self, budget: RunBudget, name: Limited, more: Decimal | None = None) -> BudgetExceeded:
        allowed = getattr(budget.all_limits(), name)
        whose = "this run" if budget is self else "these runs"
        used = "" if name == "seconds" else f"{said(name, float(budget._amount(name))).split()[0]} of "
        needs = f", and the next call of the model takes at least {said(name, float(more))}" if more else ""
        self.exceeded = BudgetExceeded(
            f"The budget of {whose} is used up: {used}{said(name, allowed)}{needs}.",
            hint=HINT,
            what=name,
            limit=allowed,
        )
        return self.exceeded

    def _amount(self, name: Limited) -> Decimal:
        return Decimal(self.steps) if name == "steps" else self.used.of(name)

    def _limit(self, name: Limited) -> Decimal | None:
        limit = getattr(self.limits, name)
        return None if limit is None else Decimal(str(limit))

    def _over(self, name: Limited, amount: Decimal | int) -> bool:
        limit = self._limit(name)
        return limit is not None and amount > limit

    def _chain(self) -> Iterator[RunBudget]:
        budget: RunBudget | None = self
        while budget is not None:
            yield budget
            budget = budget._within


def budget_of(given: Budget | RunBudget | Mapping[str, float] | str | None, setting: Budget | None = None) -> RunBudget:
    """The budget of a new run: what is `given` for it, else the setting. Raises Refused when nobody can read it."""
    if isinstance(given, RunBudget):
        return RunBudget(within=given)
    return RunBudget(read(given) or setting)
