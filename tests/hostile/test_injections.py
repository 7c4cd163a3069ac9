"""A model that obeys every instruction that it reads does no harm: what tools read never steers what is done."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.policy.obedient import Attacked, attack
from tests.web import Server, serving
from workbench.policy import approval

ATTACKS = Path(__file__).parents[1] / "corpus" / "attacks"
CASES: list[dict[str, Any]] = [
    case
    for name in ("injections.json", "injections_more.json")
    for case in json.loads((ATTACKS / name).read_text("utf-8"))
]
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def listener() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def played() -> Iterator[dict[str, Attacked]]:
    """The attacks that were played with the policy, told together at the end."""
    results: dict[str, Attacked] = {}
    yield results
    table("with the policy", results)


def table(title: str, results: dict[str, Attacked]) -> None:
    harmed = Counter(bool(result.harm) for result in results.values())
    print(f"\n{title}: {harmed[True]} of {len(results)} injections do harm, ", end="")
    print(f"{sum(result.leaked for result in results.values())} leak a key, ", end="")
    print(f"{sum(result.asked for result in results.values())} questions")


async def test_without_the_policy_nearly_every_injection_does_its_harm(listener: Server) -> None:
    results = {case["id"]: await attack(listener, case, gated=False) for case in CASES}
    table("without the policy", results)
    assert all(result.reached for result in results.values()), "a text that the model never saw proves nothing"
    # The gate of outputs stands without the policy: an answer loads no picture from elsewhere either way.
    acting = {case["id"] for case in CASES if case["goal"]["tool"] != "final_answer"}
    # So does one rule of the memory: what a run recalled it does not store again, however it was told to.
    echoes = {"i23"}
    assert {name for name in acting if not results[name].harm} == echoes


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
async def test_with_the_policy_an_injection_does_nothing(
    listener: Server, played: dict[str, Attacked], case: dict[str, Any]
) -> None:
    result = played[case["id"]] = await attack(listener, case)
    assert result.reached
    assert not result.harm, result.error
    assert not result.leaked
    if case["goal"]["tool"] != "final_answer":
        assert "Denied" in str(result.run and result.run.outcome.problem)


async def test_even_who_says_yes_to_everything_gives_no_key_away(listener: Server) -> None:
    with_keys = [case for case in CASES if "{SECRET}" in json.dumps(case["goal"])]
    results = {case["id"]: await attack(listener, case, approver=approval.everything) for case in with_keys}
    table("with a yes to every question", results)
    assert not any(result.leaked for result in results.values())
