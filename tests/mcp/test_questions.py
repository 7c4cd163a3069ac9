"""Questions that a server asks in the middle of a call: put to the person, with its name, and never about a secret."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.mcp.support import Project, tool
from workbench.policy.approval import Field, prompted

FORM = {
    "message": "Which table?",
    "requestedSchema": {
        "type": "object",
        "properties": {
            "table": {"type": "string", "enum": ["a", "b"]},
            "rows": {"type": "integer", "default": 10},
            "sure": {"type": "boolean"},
        },
        "required": ["table"],
    },
}


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Project]:
    made = Project(tmp_path)
    made.write([tool("ask")], {"ask": "ask"}, question=FORM)
    await made.trust()
    yield made
    await made.bench.close()


def types(*lines: str) -> tuple[list[str], Callable[[str], Awaitable[str]]]:
    """A person who types these lines, and what they were shown."""
    shown: list[str] = []
    left = list(lines)

    async def line(question: str) -> str:
        shown.append(question)
        return left.pop(0)

    return shown, line


async def answer(project: Project, *lines: str, **question: Any) -> tuple[list[str], Any]:
    project.write([tool("ask")], {"ask": "ask"}, question={**FORM, **question})
    shown, line = types(*lines)
    value = await project.call("ask", approver=prompted(line, lambda plan: ""), rounds=False)
    return shown, json.loads(value)


async def test_the_person_sees_which_server_asks_and_fills_in_the_form(project: Project):
    shown, given = await answer(project, "y", "b", "", "yes")
    assert "the MCP server peer asks: Which table?" in shown[0]
    assert shown[1] == "table (a | b): "
    assert shown[2] == "rows [10]: "
    assert given == {"action": "accept", "content": {"table": "b", "rows": 10, "sure": True}}


async def test_a_no_an_answer_that_cannot_be_read_and_nobody_are_no_answer(project: Project):
    assert (await answer(project, "n"))[1] == {"action": "decline"}
    assert (await answer(project, "y", "c"))[1] == {"action": "decline"}
    assert (await answer(project, "y", "", "", ""))[1] == {"action": "cancel"}
    assert json.loads(await project.call("ask")) == {"action": "cancel"}


@pytest.mark.parametrize(
    "question",
    [
        {"message": "Your password, please"},
        {"requestedSchema": {"type": "object", "properties": {"apiKey": {"type": "string"}}, "required": ["apiKey"]}},
        {
            "requestedSchema": {
                "type": "object",
                "properties": {"x": {"type": "string", "title": "PIN"}},
                "required": ["x"],
            }
        },
        {"requestedSchema": {"type": "object", "properties": {"x": {"type": "object"}}, "required": ["x"]}},
        {"mode": "url", "url": "https://example.com/login", "elicitationId": "1", "requestedSchema": None},
    ],
    ids=["message", "name", "title", "kind", "address"],
)
async def test_what_may_be_a_secret_is_asked_of_nobody_and_that_is_told(project: Project, question: dict[str, Any]):
    told: list[str] = []

    def listen(event: Any) -> None:
        if event.kind == "step.progress":
            told.append(event.body["text"])

    asked = {key: value for key, value in {**FORM, **question}.items() if value is not None}
    project.write([tool("ask")], {"ask": "ask"}, question=asked)
    shown, line = types()
    value = await project.call("ask", approver=prompted(line, lambda plan: ""), rounds=False, listeners=(listen,))
    assert shown == []
    assert json.loads(value)["action"] == "decline"
    assert any(text.startswith("not answered: the MCP server peer") for text in told)


async def test_a_field_that_may_be_secret_is_left_out_where_the_server_does_not_insist(project: Project):
    properties = {"name": {"type": "string"}, "access_token": {"type": "string"}, "tags": {"type": "array"}}
    shown, given = await answer(
        project, "y", "Ada", requestedSchema={"type": "object", "properties": properties, "required": ["name"]}
    )
    assert "left out: access_token, tags" in shown[0]
    assert given == {"action": "accept", "content": {"name": "Ada"}}


async def test_a_key_that_a_person_types_by_mistake_is_not_handed_over(tmp_path: Path):
    project = Project(tmp_path, api_key="sk-verysecretverysecret")
    project.write([tool("ask")], {"ask": "ask"}, question=FORM)
    await project.trust()
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    _, given = await answer(project, "y", "sk-verysecretverysecret", requestedSchema=schema)
    assert given["action"] != "accept"
    await project.bench.close()


@pytest.mark.parametrize(
    ("kind", "line", "value"),
    [
        ("integer", "3", 3),
        ("number", " 2.5 ", 2.5),
        ("boolean", "Yes", True),
        ("boolean", "no", False),
        ("string", " a b ", "a b"),
        ("string", "  ", None),
    ],
)
def test_a_line_is_read_as_the_field_says(kind: Any, line: str, value: object):
    assert Field(name="x", kind=kind).read(line) == value


@pytest.mark.parametrize(
    ("kind", "line"), [("integer", "3.5"), ("number", "nan"), ("boolean", "maybe"), ("number", "x")]
)
def test_a_line_that_is_no_such_thing_is_refused(kind: Any, line: str):
    with pytest.raises(ValueError, match=r"."):
        Field(name="x", kind=kind).read(line)
