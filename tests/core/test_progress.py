"""The state machine of a run, driven by random graphs, orders and endings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.strategies import graphs
from workbench.core.events import Event, Kind, UnknownEvent
from workbench.core.progress import OPEN, PASSED, Progress, State

ENDINGS = {
    Kind.STEP_DONE: State.DONE,
    Kind.STEP_FAILED: State.FAILED,
    Kind.STEP_UNCERTAIN: State.UNCERTAIN,
    Kind.STEP_CANCELLED: State.CANCELLED,
}


def event(kind: Kind, step: str | None = None) -> Event:
    return Event(run="r", seq=0, at="", kind=kind, step=step)


def ancestors(needs: dict[str, tuple[str, ...]], step: str) -> set[str]:
    found: set[str] = set()
    queue = list(needs[step])
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += needs[name]
    return found


@given(graphs(), st.data())
def test_nothing_runs_twice_or_early_and_a_failure_blocks_its_descendants_only(needs, data):
    progress = Progress(needs)
    started: list[str] = []
    for _ in range(4 * len(needs) + 1):
        if progress.finished:
            break
        moves = [("start", name) for name in progress.ready()] + [("end", name) for name in progress.running]
        assert moves, "a run that is not finished can always go on"
        move, name = data.draw(st.sampled_from(moves))
        if move == "start":
            assert all(progress.states[before] is State.DONE for before in needs[name])
            started.append(name)
            progress.apply(event(Kind.STEP_INTENT, name))
        else:
            progress.apply(event(data.draw(st.sampled_from(list(ENDINGS))), name))
            for ready in progress.ready():  # before anybody has told what is blocked
                assert all(progress.states[before] is State.DONE for before in needs[ready])
            for blocked, by in progress.blocked().items():
                assert by
                assert set(by) <= set(needs[blocked])
                progress.apply(event(Kind.STEP_BLOCKED, blocked))
    assert progress.finished
    assert len(started) == len(set(started))
    for name, state in progress.states.items():
        lost = {a for a in ancestors(needs, name) if progress.states[a] is not State.DONE}
        assert (state is State.BLOCKED) == bool(lost)


@given(graphs(), st.data())
def test_a_skipped_step_costs_only_what_refers_to_it_and_every_run_ends(needs, data):
    uses = {step: {name for name in before if data.draw(st.booleans())} for step, before in needs.items()}
    progress = Progress(needs, uses)
    empty: set[str] = set()
    while not progress.finished:
        name = data.draw(st.sampled_from(progress.ready()))
        progress.apply(event(Kind.STEP_INTENT, name))
        how = data.draw(st.sampled_from(["done", "skipped", "default"]))
        if how == "skipped":
            empty.add(name)
        body = {"value": None} if how == "default" else {}
        kind = Kind.STEP_DONE if how == "done" else Kind.STEP_SKIPPED
        progress.apply(Event(run="r", seq=0, at="", kind=kind, step=name, body=body))
        while without := progress.skipped():
            for left, by in without.items():
                assert set(by) <= uses[left] & empty
                empty.add(left)
                progress.apply(event(Kind.STEP_SKIPPED, left))
        assert not progress.blocked()
    assert {s for s in needs if uses[s] & empty} <= empty
    assert set(progress.states.values()) <= PASSED


@given(graphs(), st.data())
def test_what_an_earlier_attempt_has_done_is_not_ready_again(needs, data):
    done = data.draw(st.sets(st.sampled_from(list(needs))))
    progress = Progress(needs, done=done)
    while not progress.finished:
        for name in progress.ready():
            assert name not in done
            progress.apply(event(Kind.STEP_INTENT, name))
            progress.apply(event(Kind.STEP_DONE, name))
    assert set(progress.states.values()) == {State.DONE}


@given(graphs())
def test_without_failures_everything_is_done_in_an_order_that_fits(needs):
    progress = Progress(needs)
    while not progress.finished:
        for name in progress.ready():
            progress.apply(event(Kind.STEP_INTENT, name))
        assert progress.ready() == []
        for name in progress.running:
            progress.apply(event(Kind.STEP_DONE, name))
    assert set(progress.states.values()) == {State.DONE}


@given(graphs(), st.data())
def test_what_is_ready_comes_in_the_order_of_the_plan(needs, data):
    progress = Progress(needs)
    names = list(needs)
    assert progress.ready() == sorted(progress.ready(), key=names.index)


@given(graphs(), st.sampled_from(list(ENDINGS)), st.sampled_from([*ENDINGS, Kind.STEP_BLOCKED]))
def test_the_first_end_of_a_step_stays(needs, first, second):
    progress = Progress(needs)
    name = progress.ready()[0]
    progress.apply(event(Kind.STEP_INTENT, name))
    progress.apply(event(first, name))
    before = (dict(progress.states), progress.ready())
    progress.apply(event(second, name))
    assert (progress.states, progress.ready()) == before


def test_a_step_that_is_not_ready_cannot_start():
    progress = Progress({"a": (), "b": ("a",)})
    with pytest.raises(ValueError, match="b cannot start"):
        progress.apply(event(Kind.STEP_INTENT, "b"))
    progress.apply(event(Kind.STEP_INTENT, "a"))
    with pytest.raises(ValueError, match="a cannot start: it is running"):
        progress.apply(event(Kind.STEP_INTENT, "a"))


def test_events_of_other_kinds_and_steps_change_nothing():
    progress = Progress({"a": ()})
    for other in (event(Kind.RUN_STARTED), event(Kind.STEP_DONE, "elsewhere"), event(Kind.STEP_PROGRESS, "a")):
        progress.apply(other)
    progress.apply(UnknownEvent(run="r", seq=0, at="", kind="step.rewound", step="a"))
    assert progress.states == {"a": State.WAITING}


def test_states_are_open_until_they_end():
    assert {State.WAITING, State.RUNNING} == OPEN
    assert {State.DONE, State.SKIPPED} == PASSED
