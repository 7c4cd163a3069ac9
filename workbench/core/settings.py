"""The settings, declared. They are loaded once, at the edge (`workbench.configuration`), and passed down."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from workbench.core.budget import Budget
from workbench.core.budget import read as read_budget
from workbench.core.connections import Connection
from workbench.core.mcp import McpServer

POLICY_SUBJECTS = ("tool", "host", "path", "effect", "argument")


def _rule(text: str) -> str:
    for part in text.split() or [text]:
        subject, _, pattern = part.partition(":")
        if subject not in POLICY_SUBJECTS or not pattern:
            raise ValueError(f"{text!r} is no rule: write {', '.join(f'{name}:…' for name in POLICY_SUBJECTS)}")
    return " ".join(text.split())


Rule = Annotated[str, AfterValidator(_rule)]


class Policy(BaseModel):
    """Rules about tool calls; `policy.rules` says how they are read. Deny goes before ask, and ask before allow."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow: tuple[Rule, ...] = ()
    ask: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()

    def narrowed(self, other: Policy) -> Policy:
        """These rules and what another file forbids or asks besides; what it would allow is left out."""
        return Policy(allow=self.allow, ask=(*self.ask, *other.ask), deny=(*self.deny, *other.deny))


class Settings(BaseModel):
    """One frozen object. Each field is also an environment variable, WORKBENCH_ and the name in capitals, and a key of
    workbench.toml, except where the field's text says otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(description="Folder for run-time data: memory, journals, artifacts, logs.")
    project: Path = Field(description="Root of the project; files of the user are read below it.")
    config: Path = Field(description="The user's own folder: trust and grants. Never inside a project.")
    memory: SecretStr | None = Field(
        None, description="postgresql://… of a memory for several machines. Unset: a file in WORKBENCH_HOME."
    )
    user: str = Field("local", description="Who is asking; scopes memory and limits.")
    model: str = Field("", description="Model name, or NAME:REST of a plug-in. Empty: gpt-4o with a key, else none.")
    base_url: str = Field("", description="OpenAI-compatible endpoint (OPENAI_BASE_URL).")
    api_key: SecretStr | None = Field(None, description="Key of the endpoint (OPENAI_API_KEY).")
    embed_model: str = Field("", description="Embedding model of an endpoint, for recall. Empty: one on this machine.")
    embed_base_url: str = Field("", description="OpenAI-compatible endpoint for embeddings. Empty: OPENAI_BASE_URL.")
    embed_api_key: SecretStr | None = Field(
        None, description="Its key. Unset: OPENAI_API_KEY, at its own endpoint only."
    )
    image_model: str = Field("", description="Model that makes pictures, or diffusers:FOLDER. Empty: none.")
    image_base_url: str = Field("", description="OpenAI-compatible endpoint for pictures. Empty: OPENAI_BASE_URL.")
    image_api_key: SecretStr | None = Field(
        None, description="Its key. Unset: OPENAI_API_KEY, at its own endpoint only."
    )
    transcription_model: str = Field("", description="Model that writes down what is said. Empty: none.")
    transcription_base_url: str = Field("", description="OpenAI-compatible endpoint for it. Empty: OPENAI_BASE_URL.")
    speech_model: str = Field("", description="Model that reads texts aloud. Empty: none.")
    speech_base_url: str = Field("", description="OpenAI-compatible endpoint for it. Empty: OPENAI_BASE_URL.")
    speech_voice: str = Field("alloy", description="The voice that is asked for where a request names none.")
    audio_api_key: SecretStr | None = Field(
        None, description="Key of these two. Unset: OPENAI_API_KEY, at its own endpoint only."
    )
    tavily_api_key: SecretStr | None = Field(None, description="Key of the web search (TAVILY_API_KEY).")
    tavily_base_url: str = Field("https://api.tavily.com", description="Where Tavily's API is served.")
    tavily_keyless: bool = Field(
        False, description="Search with Tavily also without a key, as far as it allows. Queries leave unasked for."
    )
    searxng_url: str = Field("", description="A SearXNG of your own, which then searches instead of Tavily.")
    model_timeout: Annotated[float, Field(gt=0, le=3600)] = Field(
        120.0, description="Seconds for one model call; a picture has at least 300, sound 300 to 600."
    )
    model_retries: Annotated[int, Field(ge=0, le=10)] = Field(2, description="Tries after the first, when transient.")
    extract: bool = Field(False, description="Let the model note what in your requests is worth remembering.")
    parallel: Annotated[int, Field(ge=1, le=64)] = Field(4, description="Steps that run at once in one run.")
    rounds: Annotated[int, Field(ge=1, le=20)] = Field(3, description="Rounds of steps that one request may take.")
    requests_per_minute: Annotated[int, Field(ge=1)] = Field(60, description="Requests a user may start in a minute.")
    calls_per_minute: Annotated[int, Field(ge=1)] = Field(600, description="Tool calls a user may start in a minute.")
    policy: Policy = Field(Policy(), description="The table [policy] of config.toml: rules that allow, ask and deny.")
    calls_per_day: Annotated[int | None, Field(ge=0)] = Field(None, description="Calls of tools and models in a day.")
    calls_per_month: Annotated[int | None, Field(ge=0)] = Field(None, description="The same in a month.")
    tokens_per_day: Annotated[int | None, Field(ge=0)] = Field(None, description="Tokens in and out in a day.")
    tokens_per_month: Annotated[int | None, Field(ge=0)] = Field(None, description="The same in a month.")
    images_per_day: Annotated[int | None, Field(ge=0)] = Field(None, description="Pictures that tools make in a day.")
    images_per_month: Annotated[int | None, Field(ge=0)] = Field(None, description="The same in a month.")
    seconds_per_day: Annotated[float | None, Field(ge=0)] = Field(None, description="Seconds of all calls in a day.")
    seconds_per_month: Annotated[float | None, Field(ge=0)] = Field(None, description="The same in a month.")
    usd_per_day: Annotated[float | None, Field(ge=0)] = Field(None, description="US dollars of priced calls in a day.")
    usd_per_month: Annotated[float | None, Field(ge=0)] = Field(None, description="The same in a month.")
    budget: Annotated[Budget | None, BeforeValidator(read_budget)] = Field(
        None, description="What one run may use, such as usd=0.5,calls=20; of usd, tokens, steps, calls, seconds."
    )
    connections: Mapping[str, Connection] = Field({}, description="Databases by name; in config.toml only.")
    mcp: Mapping[str, McpServer] = Field({}, description="MCP servers by name; in config.toml only.")
    memory_plugin: str = Field("", description="Plug-in that keeps the memory, by its name. Empty: DuckDB.")
    marketplace: str = Field("", description="Index of plug-ins: a file, or an https address.")
    isolation: Literal["", "process", "kernel"] = Field(
        "",
        description="Least isolation of tools. kernel: refuse to run below it. process: also accept it for tools that "
        "need kernel. Empty: the best there is, and each tool's own need counts.",
    )
    replay: Literal["", "off", "auto", "strict"] = Field(
        "",
        description="What is on record is used (auto), must be used (strict), or is not (off). Empty: auto where a "
        "cassette is on.",
    )
    cassette: Path | None = Field(None, description="A cassette file: runs are recorded on it and replayed from it.")
    network_home: bool = Field(
        False, description="Accept a home on a network file system: only when one machine alone uses it."
    )
    headless: bool | None = Field(None, description="Force headless (true) or live (false) display; unset: detect.")

    @property
    def artifacts(self) -> Path:
        return self.home / "artifacts"

    @property
    def journal(self) -> Path:
        return self.home / "journal"

    @property
    def log(self) -> Path:
        return self.home / "logs" / "agent.log"
