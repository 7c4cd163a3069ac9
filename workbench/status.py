"""What is in force, in words: model, isolation, memory, tools."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.core.settings import Settings
from workbench.memory.base import Memory
from workbench.memory.vectors import Vectors
from workbench.models.base import Model
from workbench.registry.discover import Found
from workbench.sandbox.base import Sandbox
from workbench.sandbox.choose import in_words


def in_force(
    settings: Settings, *, model: Model | None, sandbox: Sandbox, memory: Memory, found: Found
) -> Mapping[str, str]:
    """One line for each part, by its name. Asks nobody: no model is called, nothing is started."""
    return {
        "model": _model(model),
        **_media(settings),
        "isolation": in_words(sandbox),
        "memory": "; ".join(
            [getattr(memory, "place", "") or _place(settings), _recall(memory), *getattr(memory, "notices", ())]
        ),
        "tools": _tools(found),
        **_unconfined(found),
    }


def _model(model: Model | None) -> str:
    if model is None:
        return "none: plans by grammar, answers from the numbers; set OPENAI_API_KEY or OPENAI_BASE_URL for a model"
    where = f" at {model.endpoint}" if model.endpoint else ""
    return f"{model.name or 'the one that the endpoint serves'}{where}"


def _media(settings: Settings) -> Mapping[str, str]:
    """The models for pictures and sound by what they are for; none when none is set."""
    named = {
        "pictures": settings.image_model,
        "speech": settings.speech_model,
        "transcripts": settings.transcription_model,
    }
    return {what: name for what, name in named.items() if name}


def _place(settings: Settings) -> str:
    """Where the memory lies, relative to the project when it is inside."""
    home, project = settings.home, settings.project
    return str(home.relative_to(project)) if home.is_relative_to(project) else str(home)


def _recall(memory: Memory) -> str:
    vectors: Vectors | None = getattr(memory, "vectors", None)
    return "lexical recall" if vectors is None else vectors.describe()


def _tools(found: Found) -> str:
    tools = ", ".join(sorted(found.tools)) or "none"
    waiting = ", ".join(sorted(found.untrusted))
    return f"{tools}; not trusted yet: {waiting}" if waiting else tools


def _unconfined(found: Found) -> Mapping[str, str]:
    """A line about tools that no worker holds; none when there are none."""
    servers = sorted({tool.path for tool in found.tools.values() if tool.runs == "server"})
    here = sorted(name for name, tool in found.tools.items() if tool.runs == "kernel")
    said = [f"MCP servers {', '.join(servers)}"] if servers else []
    said += [f"in this kernel {', '.join(here)}"] if here else []
    return {"not confined": "; ".join(said)} if said else {}
