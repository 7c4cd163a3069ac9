"""Whether a page still shows a panel: who says so, who goes, who is silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from workbench.notebook.panels.presence import Presence


def watched(answers: Callable[[Presence, int], None], *, patience: float = 60.0) -> tuple[Presence, int]:
    """Watch pages that do `answers(presence, number of the call)` at each call, until nobody is left."""
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1
        answers(presence, calls)

    async def watch() -> None:
        async with asyncio.timeout(30):  # those below wait a few milliseconds, or for ever
            await presence.gone()

    presence = Presence(call, grace=0.01, between=0.01, patience=patience)
    asyncio.run(watch())
    return presence, calls


def test_who_answers_is_there_and_who_says_that_they_go_is_called_once_more() -> None:
    def answers(presence: Presence, number: int) -> None:
        if number < 5:
            presence.there()
        elif number == 5:
            presence.leaving()

    presence, calls = watched(answers)
    assert (calls, presence.lost_one) == (6, True)


def test_of_two_pages_one_may_go() -> None:
    def answers(presence: Presence, number: int) -> None:
        if number in (2, 6):
            presence.leaving()
        if number < 6:
            presence.there()

    assert watched(answers)[1] == 7


def test_a_page_that_answers_for_the_last_time_while_it_goes_is_gone() -> None:
    def answers(presence: Presence, number: int) -> None:
        if number == 1:
            presence.there()
            presence.leaving()
        if number == 2:
            presence.there()

    assert watched(answers)[1] == 3


def test_one_that_went_before_it_was_asked_is_not_waited_for() -> None:
    calls: list[None] = []

    async def watch() -> None:
        presence = Presence(lambda: calls.append(None), grace=0.01)
        presence.there()
        presence.leaving()
        await asyncio.wait_for(presence.gone(), 30)

    asyncio.run(watch())
    assert len(calls) == 1


def test_a_page_that_is_silent_for_long_is_gone() -> None:
    presence, calls = watched(lambda presence, number: None, patience=0.01)
    assert (calls, presence.lost_one) == (1, True)
