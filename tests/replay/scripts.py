"""What a server of the tests says while the cassettes of the tutorials are recorded. No model has said any of it.

The tutorials say so, and so do the names of the models in their cells.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from tests.models.servers import Asked, chat, error, http

ROOT = Path(__file__).resolve().parents[2]
MODEL = "scripted-model"
MEDIA = "test-server"
"""The model that makes pictures and sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Words of a prompt → what is said to it. `plans`: steps; `answers` under the results, where `{first}` is the first
    cell of the first table that the prompt shows; `code` to a tool that writes. `media`: whether it also makes
    pictures and sound, and then no model plans."""

    plans: Mapping[str, Any] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    media: bool = False

    def variables(self, base_url: str) -> dict[str, str]:
        """The settings by which a kernel asks the server at this address."""
        if not self.media:
            return {"OPENAI_BASE_URL": base_url, "WORKBENCH_MODEL": MODEL}
        names = ("IMAGE", "SPEECH", "TRANSCRIPTION")
        return {f"WORKBENCH_{name}_MODEL": MEDIA for name in names} | {
            f"WORKBENCH_{name}_BASE_URL": base_url for name in names
        }

    def __call__(self, asked: Asked) -> bytes:
        """What the server answers."""
        match asked.path.partition("/v1")[2]:
            case "/images/generations":
                made = {"b64_json": base64.b64encode(picture()).decode()}
                return http(200, json.dumps({"created": 0, "data": [made]}))
            case "/audio/speech":
                return http(200, MEMO.read_bytes(), "audio/wav")
            case "/audio/transcriptions":
                return http(200, json.dumps(HEARD))
            case "/chat/completions":
                return self._chat(asked)
            case _:
                return error(404)

    def _chat(self, asked: Asked) -> bytes:
        said = asked.body["messages"][-1]["content"]
        is_code = asked.body["messages"][0]["content"].startswith("You write code.")
        replies = self.plans if asked.rung != "text" else self.code if is_code else self.answers
        request = said.rpartition("# request\n")[2]  # before it stands what was asked earlier
        reply = next((reply for words, reply in replies.items() if words in request), None)
        if reply is None:
            return error(400, "no reply is written down for this")
        if not isinstance(reply, str):
            return chat(json.dumps(reply))
        if "{first}" in reply:
            row = next(line for line in said.splitlines() if line.startswith('| ["'))
            reply = reply.replace("{first}", json.loads(row.strip("| "))[0])
        return chat(reply)


MEMO = ROOT / "data" / "samples" / "voice_memo.wav"
HEARD = {
    "text": "The web shop is back. Please tell the stores.",
    "language": "english",
    "duration": 2.78,
    "segments": [
        {"id": 0, "start": 0.0, "end": 1.25, "text": "The web shop is back."},
        {"id": 1, "start": 1.5, "end": 2.78, "text": "Please tell the stores."},
    ],
}
"""What is said in the memo."""


def picture() -> bytes:
    """A lighthouse at dusk as a few shapes, and a line that says who drew it: a small PNG."""
    image = Image.new("RGB", (384, 216), "#2f3e63")
    draw = ImageDraw.Draw(image)
    for y, colour in ((60, "#5a5f86"), (95, "#a8788a"), (120, "#e8a07c")):
        draw.rectangle((0, y, 384, 216), fill=colour)
    draw.ellipse((60, 112, 104, 156), fill="#f7d9a0")
    draw.rectangle((0, 136, 384, 216), fill="#27405a")
    draw.polygon(((268, 62), (0, 30), (0, 74)), fill="#cfa48f")
    draw.polygon(((220, 196), (316, 196), (300, 160), (238, 160)), fill="#1c2733")
    draw.polygon(((256, 168), (284, 168), (279, 76), (261, 76)), fill="#f3efe6")
    for y in (92, 126):
        draw.rectangle((258, y, 282, y + 14), fill="#b5483f")
    draw.rectangle((258, 70, 282, 76), fill="#1c2733")
    draw.rectangle((262, 56, 278, 70), fill="#ffe9a8")
    draw.polygon(((258, 56), (282, 56), (270, 46)), fill="#b5483f")
    draw.text((8, 195), "Drawn by a test server: a few shapes, no model", fill="#f3efe6", font_size=13)
    out = io.BytesIO()
    image.quantize(32).save(out, "PNG", optimize=True)
    return out.getvalue()


def step(name: str, task: str, title: str, /, **params: Any) -> dict[str, Any]:
    """A step of a plan."""
    return {"id": name, "task": task, "title": title, "params": params}


REPLAY = Script(
    plans={
        "which region earned most in 2025? plot it": {
            "goal": "revenue of 2025 by region, as a table and a chart",
            "steps": [
                step(
                    "s1",
                    "query_data",
                    "Revenue of 2025 by region",
                    sql="SELECT region, round(sum(revenue), 2) AS revenue FROM sales "
                    "WHERE order_date::DATE >= DATE '2025-01-01' AND order_date::DATE < DATE '2026-01-01' "
                    "GROUP BY region ORDER BY revenue DESC",
                    tables={"sales": {"$ref": "@sales"}},
                    title="Revenue of 2025 by region",
                ),
                step(
                    "s2",
                    "plot",
                    "The same as a bar chart",
                    data={"$ref": "s1"},
                    kind="bar",
                    x="region",
                    y=["revenue"],
                    title="Revenue of 2025 by region",
                ),
            ],
        }
    },
    answers={
        "which region earned most in 2025? plot it": "{first} earned most in 2025. The chart shows all regions, "
        "highest first."
    },
)

DOCUMENTS = Script(
    plans={
        "compare what our documents say about partners": {
            "goal": "what the handbook says about orders through partners, side by side",
            "steps": [
                step("s1", "search_documents", "What they cost", query="partner discount every order", limit=1),
                step(
                    "s2",
                    "search_documents",
                    "How they come back",
                    query="orders through a partner are returned",
                    limit=1,
                ),
            ],
        },
        "how many stars does the headset get": {
            "goal": "the rating of the headset",
            "steps": [
                step("s1", "search_documents", "The headset's ratings", query="ratings weak spot ear cushions", limit=1)
            ],
        },
        # Asked before the cassette is on, in a notebook that is replayed without any model.
        "search the documents for how long": {
            "goal": "how long an article may come back",
            "steps": [step("s1", "search_documents", "Search", query="how long an article may come back")],
        },
    },
    answers={
        "compare what our documents say about partners": "On the price: an order that comes through a partner is 10 % "
        "cheaper, all year [1].\n\n"
        "On the way back: it is returned through that partner, never to the warehouse [2].\n\n"
        "The two do not contradict each other, but neither says who bears the cost of a return.",
        "how many stars does the headset get": "The headset gets 3.5 stars, the lowest of all ten products [1]. A year "
        "earlier it had 4.1 [2].",
        "search the documents for how long": "See the documents.",
        "What happened to the web shop": "See the documents.",
    },
)

_TIDES = '''\
File: tides.py
```python
"""When the water is high."""

PERIOD = 12  # hours from one high water to the next


def high_waters(first, until=24):
    """The hours of high water from `first` on, before `until`."""
    hours = []
    while first < until:
        hours.append(round(first, 2))
        first += PERIOD
    return hours
```
'''
_PERIOD = """\
File: tides.py
```
<<<<<<< SEARCH
PERIOD = 12  # hours from one high water to the next
=======
PERIOD = 12.42  # hours from one high water to the next: half a lunar day
>>>>>>> REPLACE
```
"""

CODE = Script(
    plans={
        "write a Python function that lists the hours of high water": {
            "goal": "a function for high water, in a file of its own",
            "steps": [
                step(
                    "s1",
                    "generate_code",
                    "Write the function",
                    spec="list the hours of high water of a day from the first one on",
                    language="python",
                    path="tides.py",
                )
            ],
        },
        "high water comes every 12.42 hours": {
            "goal": "the right period in tides.py",
            "steps": [
                step(
                    "s1",
                    "generate_code",
                    "Correct the period",
                    spec="high water comes every 12.42 hours",
                    files=["tides.py"],
                )
            ],
        },
    },
    answers={
        "write a Python function that lists the hours of high water": "`high_waters(first)` lists the hours of a day "
        "with high water, every 12 hours from the first one on.",
        "high water comes every 12.42 hours": "Only the period changes: from 12 to 12.42 hours.",
    },
    code={
        "Write: list the hours of high water": _TIDES,
        "Write: high water comes every 12.42 hours": _PERIOD,
    },
)

MCP = Script(
    plans={
        "when is high water in Porto": {
            "goal": "high water in Porto",
            "steps": [step("s1", "tides.high_water", "High water in Porto", harbour="Porto")],
        },
    },
    answers={
        "when is high water in Porto": "In Porto the water is high at 03:55 and at 16:25, at 3.5 metres.",
    },
)

TUTORIALS: Mapping[str, Script] = {
    "04_replay_and_share.ipynb": REPLAY,
    "05_documents.ipynb": DOCUMENTS,
    "06_code.ipynb": CODE,
    "07_mcp.ipynb": MCP,
    "11_pictures_and_sound.ipynb": Script(media=True),
}
