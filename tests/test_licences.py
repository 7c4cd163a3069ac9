"""What a user installs along with us may be used freely, and the agent in it is ours.

Walks the run-time dependencies as they are installed here, directly and through each other.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Permissive licences, and those weak copyleft ones that ask nothing of a program which merely imports the package.
ALLOWED = re.compile(
    r"0BSD|Apache|BSD|CC0|CNRI|HPND|ISC|LGPL|Lesser General Public|MIT|MPL|Mozilla|PSF|Python Software Foundation"
    r"|Unlicense|Zlib",
    re.IGNORECASE,
)
STRONG = re.compile(r"(?<!L)GPL|(?<!Lesser )General Public|Affero|SSPL|BUSL|Proprietary", re.IGNORECASE)
# Packages whose metadata says too little or too much, each looked at by hand.
LOOKED_AT: Mapping[str, str] = {
    "resvg-py": "names no licence; its file LICENSE is the text of MIT, and its parts are as free",
}

FRAMEWORKS = {
    "ag2", "agno", "atomic-agents", "autogen", "autogen-agentchat", "autogen-core", "bee-agent-framework",
    "beeai-framework", "camel-ai", "controlflow", "crewai", "deepagents", "dspy", "dspy-ai", "farm-haystack",
    "google-adk", "griptape", "guidance", "haystack-ai", "instructor", "langchain", "langchain-core",
    "langgraph", "letta", "litellm", "llama-index", "llama-index-core", "llama-stack", "magentic", "marvin",
    "mirascope", "openai-agents", "phidata", "pyautogen", "pydantic-ai", "pydantic-ai-slim", "semantic-kernel",
    "smolagents", "strands-agents", "swarms",
}  # fmt: skip


@dataclass(frozen=True)
class Package:
    name: str
    licence: str
    requires: list[str] = field(default_factory=list)


Find = Callable[[str], Package | None]


def licence_of(found: Distribution) -> str:
    """The licence in the metadata's own words: the expression, else the classifiers, else the first line of text."""
    metadata = found.metadata
    classifiers = [c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier") or () if c.startswith("License :: ")]
    text = (metadata["License"] or "").strip().partition("\n")[0] if "License" in metadata else ""
    return metadata["License-Expression"] if "License-Expression" in metadata else " AND ".join(classifiers) or text


def installed(name: str) -> Package | None:
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None
    return Package(canonicalize_name(name), licence_of(found), found.requires or [])


def closure(root: str, find: Find) -> dict[str, Package]:
    """Everything that installing `root` brings onto this machine. Raises LookupError when a part is missing here."""
    packages: dict[str, Package] = {}
    waiting: list[tuple[str, frozenset[str]]] = [(root, frozenset())]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        package = find(name)
        if package is None:
            raise LookupError(f"{name} is needed but not installed")
        packages[canonicalize_name(name)] = package
        for requirement in map(Requirement, package.requires):
            if requirement.marker and not any(requirement.marker.evaluate({"extra": e}) for e in extras | {""}):
                continue
            step = (canonicalize_name(requirement.name), frozenset(requirement.extras))
            if step not in seen:
                seen.add(step)
                waiting.append(step)
    return packages


def may_be_used(licence: str) -> bool:
    """True when every part of the licence offers a choice that is allowed."""
    return all(
        any(ALLOWED.search(choice) and not STRONG.search(choice) for choice in re.split(r"\bOR\b", part))
        for part in re.split(r"\bAND\b", licence)
    )


def objections(packages: Iterable[Package], looked_at: Mapping[str, str] = LOOKED_AT) -> list[str]:
    """Why these packages must not come with us, in words; empty when they may."""
    found = []
    for package in packages:
        if package.name in FRAMEWORKS or package.name.startswith(("langchain-", "llama-index-", "langgraph-")):
            found.append(f"{package.name}: an agent framework")
        if package.name in looked_at:
            continue
        if not may_be_used(package.licence):
            found.append(f"{package.name}: licence {package.licence!r}")
    return found


@pytest.fixture(scope="module")
def ours() -> dict[str, Package]:
    return closure("agent-workbench", installed)


def test_what_we_install_may_be_used_freely(ours: dict[str, Package]):
    assert len(ours) > 50, "the walk went nowhere"
    assert objections(ours.values()) == []


def test_exceptions_are_still_needed(ours: dict[str, Package]):
    assert [name for name in LOOKED_AT if name not in ours or not objections([ours[name]], looked_at={})] == []


@pytest.mark.parametrize(
    "bad",
    [
        Package("closed", "Proprietary"),
        Package("silent", ""),
        Package("viral", "GPL-3.0-or-later"),
        Package("viral-classified", "GNU General Public License v3 (GPLv3)"),
        Package("viral-served", "GNU Affero General Public License v3"),
        Package("viral-half", "MIT AND GPL-2.0-only"),
        Package("odd-half", "MIT AND Odd-1.0"),
        Package("langgraph", "MIT"),
        Package("langchain-openai", "MIT"),
        Package("openai-agents", "MIT"),
    ],
    ids=lambda package: package.name,
)
def test_a_bad_package_is_refused(bad: Package):
    assert len(objections([Package("fine", "BSD-3-Clause"), bad])) == 1


@pytest.mark.parametrize(
    "licence",
    ["LGPL-2.1-or-later", "GNU Lesser General Public License v3 (LGPLv3)", "MPL-2.0 AND MIT", "GPL-2.0-only OR MIT"],
)
def test_weak_copyleft_and_a_free_choice_are_allowed(licence: str):
    assert objections([Package("polite", licence)]) == []


def test_a_bad_package_far_down_is_found():
    shelf = {
        "app": Package("app", "MIT", ["web[fast]>=1", "docs ; extra == 'doc'"]),
        "web": Package("web", "MIT", ["speed ; extra == 'fast'", "old ; python_version < '3'"]),
        "speed": Package("speed", "MIT", ["web", "crewai"]),
        "crewai": Package("crewai", "MIT"),
    }
    assert objections(closure("app", shelf.get).values()) == ["crewai: an agent framework"]


def test_a_missing_package_is_not_passed_over():
    with pytest.raises(LookupError, match="gone"):
        closure("app", {"app": Package("app", "MIT", ["gone"])}.get)
