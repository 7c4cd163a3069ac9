"""Which tools a model is shown in full, and which only by their line: a prompt has room for so many.

As long as all fit, all are shown in full, so that most prompts do not depend on this. Otherwise the tools are ranked by
the words that they share with the request, rare ones counting most; those that work on tables are always there, and so
are those that the plan has used before. The others are named with their summary: a plan may use one all the same, and
a model whose parameters do not fit is then shown what they are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping

from workbench.core.tools import ToolSpec

ROOM = 9_500
"""Bytes that the descriptions of all tools may take."""
CORE = frozenset({"query_data", "plot", "run_python"})

_WORD = re.compile(r"[^\W\d_]{3,}")
_SLOT = re.compile(r"\{\w+\}")
_WEIGHT = {"name": 3.0, "examples": 2.0, "said": 1.0}


def in_full(request: str, tools: Mapping[str, ToolSpec], sizes: Mapping[str, int], used: Collection[str]) -> list[str]:
    """The names of the tools to be shown in full, in the order of `tools`. `sizes`: bytes of each description; `used`:
    tools of the plan so far."""
    if sum(sizes.values()) <= ROOM:
        return list(tools)
    score = _scores(request, tools)
    first = CORE | set(used)
    # Of those with equal scores, what somebody has brought along goes before what has always been there.
    ranked = sorted(tools, key=lambda name: (name not in first, -score[name], tools[name].origin == "shipped", name))
    left, kept = ROOM, set[str]()
    for name in ranked:
        if name in first or sizes[name] <= left:
            kept.add(name)
            left -= sizes[name]
    return [name for name in tools if name in kept]


def _scores(request: str, tools: Mapping[str, ToolSpec]) -> dict[str, float]:
    asked = _stems(request)
    words = {name: _words(tool) for name, tool in tools.items()}
    common = Counter(stem for known in words.values() for stem in known)
    return {name: sum(known[stem] / common[stem] for stem in asked if stem in known) for name, known in words.items()}


def _words(tool: ToolSpec) -> dict[str, float]:
    """The stems of what a tool says of itself, with their weights."""
    parameters = " ".join(str(facts.get("description", "")) for facts in tool.params.get("properties", {}).values())
    texts = {
        "said": f"{tool.summary} {tool.description} {parameters}",
        "examples": _SLOT.sub(" ", " ".join(tool.examples)),
        "name": tool.name.replace("_", " "),
    }
    return {stem: _WEIGHT[part] for part, text in texts.items() for stem in _stems(text)}


def _stems(text: str) -> set[str]:
    """The beginnings of the words: "images" and "image" are one, and so are "transcribe" and "transcript"."""
    return {word[:5] if len(word) > 5 else word.removesuffix("s") for word in _WORD.findall(text.casefold())}
