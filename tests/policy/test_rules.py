"""Rules allow, ask and deny; deny goes first, and a committed file can only narrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workbench.configuration import load_settings
from workbench.core.errors import Unavailable
from workbench.core.provenance import REQUEST, Argument, Source, SourceKind
from workbench.core.settings import Policy
from workbench.core.tools import Permissions, ToolCall, ToolSpec
from workbench.policy.rules import Rules
from workbench.policy.taint import judge
from workbench.policy.words import Wording

WEB = Source(kind=SourceKind.WEB, label="news.example")
STRICTNESS = {"allow": 0, "ask": 1, "deny": 2}


def call(name: str = "fetch", *, params: dict[str, Any] | None = None, **fields: Any) -> ToolCall:
    params = {"url": "https://x.example/"} if params is None else params
    spec = ToolSpec(name=name, summary=name, params={}, version="v1", source=b"", **fields)
    made_of = REQUEST | {WEB}
    parts = tuple(Argument(path=f"/{key}", value=value, sources=made_of) for key, value in params.items())
    return ToolCall(run="r", step="s1", tool=spec, params=params, timeout=1, arguments=parts, sources=made_of)


NETWORK = Permissions(network=("a.example", "b.example"))
CALLS = [
    call(permissions=NETWORK),
    call("mail", permissions=Permissions(network=("mail.example",)), effect="write"),
    call("write", params={"path": "private/x.csv", "content": "x"}, effect="idempotent"),
    call("read", params={"path": "notes.txt"}, permissions=Permissions(read=("private",))),
    call("draw", params={"prompt": "x"}, uses=("image",)),
    call("nothing", params={}),
]
PARTS = st.sampled_from(
    [
        *("tool:fetch", "tool:mail", "tool:*", "host:a.example", "host:*.example", "host:mail.*"),
        *("path:private/*", "path:*", "effect:write", "effect:read", "effect:*"),
        *("argument:url", "argument:path", "argument:*"),
    ]
)
RULES = st.lists(st.lists(PARTS, min_size=1, max_size=3).map(" ".join), max_size=3)
POLICIES = st.builds(Policy, allow=RULES, ask=RULES, deny=RULES)


def answer(policy: Policy, what: ToolCall, request: str = "nothing of the kind") -> str:
    return judge(what, Wording(request), Rules(policy, "/project"), "kernel").answer


@given(POLICIES, POLICIES, st.sampled_from(CALLS), st.sampled_from(["no", "read https://x.example/"]))
def test_another_files_rules_only_narrow(own: Policy, committed: Policy, what: ToolCall, request: str) -> None:
    narrowed = answer(own.narrowed(committed), what, request)
    assert STRICTNESS[narrowed] >= STRICTNESS[answer(own, what, request)]


@given(POLICIES, POLICIES, POLICIES)
def test_the_order_in_which_files_narrow_does_not_matter(own: Policy, one: Policy, two: Policy) -> None:
    for what in CALLS:
        assert answer(own.narrowed(one).narrowed(two), what) == answer(own.narrowed(two).narrowed(one), what)


@given(POLICIES, RULES)
def test_one_more_rule_to_allow_lifts_questions_and_no_denial(policy: Policy, more: list[str]) -> None:
    wider = policy.model_copy(update={"allow": (*policy.allow, *more)})
    for what in CALLS:
        before, after = answer(policy, what), answer(wider, what)
        assert STRICTNESS[after] <= STRICTNESS[before]
        assert (before == "deny") == (after == "deny")


@pytest.mark.parametrize(
    ("allow", "what", "expected"),
    [
        (["tool:fetch"], CALLS[0], "allow"),
        (["host:a.example"], CALLS[0], "ask"),
        (["host:a.example", "host:b.example"], CALLS[0], "allow"),
        (["host:A.EXAMPLE", "host:b.*"], CALLS[0], "allow"),
        (["tool:fetch argument:url"], CALLS[0], "allow"),
        (["tool:fetch argument:other"], CALLS[0], "ask"),
        (["argument:url"], CALLS[0], "ask"),
        (["host:mail.example"], CALLS[1], "ask"),
        (["host:mail.example effect:write"], CALLS[1], "allow"),
        (["effect:write"], CALLS[1], "ask"),
        (["path:private/*"], CALLS[2], "ask"),
        (["effect:idempotent path:private/*"], CALLS[2], "allow"),
        (["host:*"], CALLS[4], "ask"),
        (["tool:draw"], CALLS[4], "allow"),
    ],
)
def test_a_rule_allows_what_it_names_and_nothing_beside_it(allow: list[str], what: ToolCall, expected: str) -> None:
    assert answer(Policy(allow=tuple(allow)), what) == expected


@pytest.mark.parametrize(
    ("deny", "what"),
    [
        ("tool:mail", CALLS[1]),
        ("host:b.example", CALLS[0]),
        ("effect:idempotent", CALLS[2]),
        ("path:private/*", CALLS[2]),
        ("path:/project/private/*", CALLS[2]),
        ("path:private", CALLS[3]),
        ("path:private/deep/*", CALLS[3]),
        ("tool:nothing", CALLS[5]),
        ("argument:prompt tool:draw", CALLS[4]),
    ],
)
def test_what_is_denied_is_denied_whatever_else_allows_it(deny: str, what: ToolCall) -> None:
    assert answer(Policy(deny=(deny,), allow=("tool:*",)), what) == "deny"


def test_a_path_cannot_be_spelt_so_that_a_rule_misses_it() -> None:
    for path in ("./private/x", "a/../private/x", "/project/private/x", "private//x", "/project/./b/../private/x"):
        assert answer(Policy(deny=("path:private/*",)), call("w", params={"out_path": path}, effect="write")) == "deny"


@pytest.mark.parametrize("rule", ["", "fetch", "tool:", "colour:red", "tool:x colour:red"])
def test_what_is_no_rule_is_refused(rule: str) -> None:
    with pytest.raises(ValidationError):
        Policy(deny=(rule,))


def settings(tmp_path: Path, own: str, committed: str) -> Policy:
    (tmp_path / "config").mkdir()
    (tmp_path / "project" / ".git").mkdir(parents=True)
    (tmp_path / "config" / "config.toml").write_text(own)
    (tmp_path / "project" / "workbench.toml").write_text(committed)
    return load_settings({"WORKBENCH_CONFIG": str(tmp_path / "config")}, tmp_path / "project").policy


def test_both_files_are_read_and_the_committed_one_narrows(tmp_path: Path) -> None:
    own = '[policy]\nallow = ["tool:fetch"]\nask = ["effect:write"]\n'
    policy = settings(tmp_path, own, '[policy]\ndeny = ["tool:fetch  argument:url"]\n')
    assert policy == Policy(allow=("tool:fetch",), ask=("effect:write",), deny=("tool:fetch argument:url",))


def test_a_committed_file_that_allows_something_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"workbench\.toml may not set policy\.allow"):
        settings(tmp_path, "", '[policy]\nallow = ["tool:*"]\n')


def test_a_wrong_rule_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="policy") as caught:
        settings(tmp_path, '[policy]\ndeny = ["everything"]\n', "")
    assert len(caught.value.lines()) <= 2
