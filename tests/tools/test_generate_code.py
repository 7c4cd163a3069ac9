"""Code from a model's reply: read leniently, checked strictly, and turned into a diff that always applies."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tools.conftest import Host, load
from workbench import toolkit
from workbench.core import patch

generate_code = load("generate_code")

COMPONENT = """import React from "react";

export default function NewsComponent({ items }) {
  return <ul>{items.map((item) => <li key={item.url}>{item.title}</li>)}</ul>;
}
"""


@pytest.fixture
def say(host: Host) -> Callable[..., list[str]]:
    """Have the model reply so, in turn; the prompts that it was asked."""

    def say(*replies: str) -> list[str]:
        left, prompts = list(replies), []

        def complete(params: Any) -> dict[str, str]:
            prompts.append(params["prompt"])
            return {"text": left.pop(0), "model": "m"}

        host.services["model.complete"] = complete
        return prompts

    return say


def file_of(found: dict[str, Any], at: int = 0) -> tuple[str, str]:
    return found["files"][at]["path"], found["files"][at]["content"]


def test_headlines_of_an_earlier_step_stand_in_the_prompt_and_the_component_gets_its_name(say, host: Host):
    headlines = {"results": [{"title": "Comet seen over Lisbon", "url": "https://n.example/1"}], "formatted": "1. …"}
    host.context = [{"step": "s1", "task": "search_news", "value": headlines}]
    prompts = say(f"```jsx\n{COMPONENT}```")
    found = generate_code.run("display headlines", language="javascript", framework="react")
    assert "Comet seen over Lisbon" in prompts[0]
    assert "https://n.example/1" in prompts[0]
    assert file_of(found) == ("NewsComponent.jsx", COMPONENT)
    assert found["files"][0]["checked"] == "JavaScript parses"
    assert found["language"] == "diff"
    assert found["diff"].startswith("diff --git a/NewsComponent.jsx b/NewsComponent.jsx\nnew file mode 100644\n")


@pytest.mark.parametrize(
    ("reply", "path"),
    [
        ("File: src/app.py\n\n```python\nx = 1\n```\n", "src/app.py"),
        ("Here you are.\n\n**`src/app.py`**\n```python\nx = 1\n```\nEnjoy!", "src/app.py"),
        ("### src/app.py\n```\nx = 1\n```", "src/app.py"),
        ("```python src/app.py\nx = 1\n```", "src/app.py"),
        ("```python:src/app.py\nx = 1\n```", "src/app.py"),
        ('```python title="src/app.py"\nx = 1\n```', "src/app.py"),
        ("~~~python\ndef add(a, b):\n    return a + b\n~~~", "add.py"),
        ("x = 1", "code.py"),
        ("```python\r\nx = 1\r\n```", "code.py"),
    ],
)
def test_replies_of_many_forms_give_the_file(say, reply, path):
    say(reply)
    found = generate_code.run("a constant", language="python")
    assert file_of(found)[0] == path
    assert "\r" not in file_of(found)[1]


def test_a_file_that_has_fences_itself_is_fenced_by_more(say):
    text = "# Use\n\n```\nmake\n```\n"
    say(f"File: README.md\n````markdown\n{text}````")
    assert file_of(generate_code.run("a readme")) == ("README.md", text)


def test_blocks_change_what_they_name_and_keep_every_other_byte(say, tmp_path: Path):
    before = "a = 1\r\nb = 2\t \r\n\x0cc = 3\n# \u2028 end"
    (tmp_path / "x.py").write_bytes(before.encode())
    say("File: x.py\n```\n<<<<<<< SEARCH\nb = 2\n=======\nb = 20\nbb = 21\n>>>>>>> REPLACE\n```")
    found = generate_code.run("change b", files=["x.py"])
    assert file_of(found)[1] == "a = 1\r\nb = 20\r\nbb = 21\r\n\x0cc = 3\n# \u2028 end"


def test_a_whole_file_keeps_its_line_ends_and_its_missing_last_one(say, tmp_path: Path):
    (tmp_path / "x.py").write_bytes(b"a = 1\r\nb = 2")
    say("File: x.py\n```python\na = 1\nb = 3\n```")
    assert file_of(generate_code.run("change b", files=["x.py"]))[1] == "a = 1\r\nb = 3"


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("File: a.py\n```python\nx = (\n```", "a.py does not parse"),
        ("File: a.json\n```json\n{'a': 1}\n```", "a.json does not parse"),
        ("File: a.jsx\n```jsx\nfunction A({ return <p>x</p> }\n```", "a.jsx does not parse: line 1"),
        ("File: ../a.py\n```python\nx = 1\n```", "no path in the project"),
        ("File: .github/workflows/a.yml\n```\nx: 1\n```", "is hidden"),
        ("File: /etc/passwd.txt\n```\nx\n```", "no path in the project"),
        ("File: a.py\n```python\nx = 1", "cut short"),
        ("", "no file"),
        ("File: no.py\n```\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n```", "does not exist"),
        ("File: twice.py\n```\n<<<<<<< SEARCH\na = 1\n=======\nb\n>>>>>>> REPLACE\n```", "not found once"),
        ("File: twice.py\n```python\na = 1\na = 1\n```", "changes nothing"),
    ],
)
def test_an_unusable_reply_is_asked_for_once_more_and_then_fails_saying_why(say, tmp_path: Path, reply, why):
    (tmp_path / "twice.py").write_text("a = 1\na = 1\n")
    prompts = say(reply, reply)
    with pytest.raises(toolkit.Failed, match="cannot be used") as caught:
        generate_code.run("something", files=["twice.py"])
    assert why in str(caught.value)
    assert len(prompts) == 2
    assert why in prompts[1]


def test_a_mended_reply_is_taken(say):
    say("File: a.py\n```\nx = (\n```", "File: a.py\n```\nx = ()\n```")
    assert file_of(generate_code.run("x"))[1] == "x = ()\n"


def test_what_cannot_be_checked_says_so(say):
    say("File: a.rs\n```rust\nfn main( {}\n```")
    assert generate_code.run("x")["files"][0]["checked"] == "its syntax was not checked (no parser for .rs)"


@pytest.mark.parametrize(
    "name", ["..", "/etc/passwd", "../x.py", ".env", "no.py", "binary.py", "latin.py", "link.py", ""]
)
def test_files_that_are_no_text_of_the_project_are_refused(say, host: Host, tmp_path: Path, name):
    (tmp_path / "binary.py").write_bytes(b"\x00\x01")
    (tmp_path / "latin.py").write_bytes("é".encode("latin-1"))
    (tmp_path / "link.py").symlink_to("/etc/passwd")
    prompts = say("File: a.py\n```\nx = 1\n```")
    with pytest.raises(toolkit.Failed):
        generate_code.run("x", files=[name])
    assert not prompts


def test_an_empty_wish_asks_no_model(say):
    prompts = say("x")
    with pytest.raises(toolkit.Failed):
        generate_code.run("  \n")
    assert not prompts


LINES = st.text(st.sampled_from("ab \t\r\x0c\u2028é{}"), max_size=6)
TEXTS = st.lists(LINES, max_size=12).map("\n".join)


@given(before=TEXTS, after=TEXTS)
@settings(max_examples=300, deadline=None)
def test_any_two_texts_differ_by_a_diff_that_gives_each_from_the_other(before: str, after: str):
    change = generate_code.Change("x.txt", before, after)
    if before == after:
        return
    [read] = patch.read(generate_code.difference(change))
    assert patch.applied(read, before) == after
    assert patch.applied(read, after, reverse=True) == before


def edits(count: int) -> list[tuple[str, str | None, str]]:
    """Files and what an edit makes of them: inserted, removed and changed lines, every kind of end."""
    luck = random.Random(20261127)
    found: list[tuple[str, str | None, str]] = []
    for number in range(count):
        end = luck.choice(["\n", "\r\n"])
        lines = [
            f"{luck.choice(['x', 'print', '  return', ''])} {luck.randrange(40)}" for _ in range(luck.randrange(60))
        ]
        new = list(lines)
        for _ in range(luck.randrange(1, 5)):
            at = luck.randrange(len(new) + 1)
            match luck.randrange(3):
                case 0:
                    new.insert(at, f"added {luck.random()}")
                case 1 if new:
                    del new[min(at, len(new) - 1)]
                case _ if new:
                    new[min(at, len(new) - 1)] += " # changed ü"
        tail = [luck.choice([end, ""]) for _ in range(2)]
        before = None if number % 10 == 0 else end.join(lines) + (tail[0] if lines else "")
        after = end.join(new) + (tail[1] if new else "")
        name = luck.choice(["a.py", "sub/b.txt", "with space/c d.md", "ünï.txt"])
        if before != after:
            found.append((name, before, after))
    return found


def test_two_hundred_edits_apply_and_undo_byte_for_byte_with_git_and_with_us(tmp_path: Path):
    done = 0
    for number, (name, before, after) in enumerate(edits(240)):
        folder = tmp_path / str(number)
        place = folder / name
        place.parent.mkdir(parents=True)
        if before is not None:
            place.write_bytes(before.encode())
        diff = generate_code.difference(generate_code.Change(name, before, after))
        [read] = patch.read(diff)
        assert patch.applied(read, before or "") == after
        assert patch.applied(read, after, reverse=True) == (before or "")
        for arguments, wanted in ((["--check"], before), ([], after), (["-R"], before)):
            command = ["git", "apply", "--whitespace=nowarn", *arguments, "-"]
            ran = subprocess.run(command, input=diff.encode(), cwd=folder, capture_output=True, check=False)
            assert ran.returncode == 0, (ran.stderr, diff)
            assert (place.read_bytes() if place.exists() else None) == (None if wanted is None else wanted.encode())
        done += 1
    assert done >= 200


def moved(luck: random.Random, text: str) -> str:
    lines = patch.split(text)
    for _ in range(luck.randrange(3)):
        lines.insert(luck.randrange(len(lines) + 1), f"elsewhere {luck.random()}\n")
    if lines and luck.random() < 0.3:
        lines[luck.randrange(len(lines))] = "in the way\n"
    return "".join(lines)


def test_where_a_file_has_changed_git_and_we_agree_on_what_still_fits(tmp_path: Path):
    luck, agreed = random.Random(7), {True: 0, False: 0}
    for number, (_, before, after) in enumerate(edits(120)):
        if not before or not after:
            continue
        now = moved(luck, before)
        diff = generate_code.difference(generate_code.Change("f", before, after))
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "f").write_bytes(now.encode())
        ran = subprocess.run(["git", "apply", "-"], input=diff.encode(), cwd=folder, capture_output=True, check=False)
        theirs = (folder / "f").read_bytes() if ran.returncode == 0 else None
        try:
            ours = patch.applied(patch.read(diff)[0], now).encode()
        except patch.Conflict:
            ours = None
        assert ours == theirs, (diff, now, ran.stderr)
        agreed[ours is not None] += 1
    assert min(agreed.values()) >= 10
