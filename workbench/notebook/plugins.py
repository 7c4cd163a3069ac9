"""`%workbench plugins`: what installed packages offer, and what each may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.notebook.table import Table

if TYPE_CHECKING:
    from workbench.workbench import Workbench

_COLUMNS = ("plug-in", "is a", "package", "may", "state")


def plugins(workbench: Workbench, rest: str = "") -> Table:
    """What plug-ins offer. The command line also lists what there is to install."""
    from workbench.registry.grants import may
    from workbench.registry.plugged import GROUPS, points

    found, personas = workbench.found(), workbench.personas()
    specs = [*found.tools.values(), *found.untrusted.values()]
    rows: list[tuple[str, ...]] = []
    for group in GROUPS:
        kind = group.partition(".")[2].removesuffix("s")
        for point in points(group):
            package = f"{point.package} {point.version}".strip()
            if kind == "tool":
                inside = [spec for spec in specs if spec.origin == "plug-in" and _is_of(spec.path, point.value)]
                rows += [
                    (spec.name, kind, package, may(spec), "trusted" if spec.name in found.tools else "not trusted yet")
                    for spec in inside
                ]
            elif kind == "persona":
                theirs = [name for name, one in personas.personas.items() if "plug-in" in one.instructions]
                rows += [(name, kind, package, "–", "a part of the prompts, told as a stranger's") for name in theirs]
            else:
                rows.append((point.name, kind, package, "all: it runs in your process", "used when a setting names it"))
    waiting = [spec.path for spec in found.untrusted.values() if spec.origin == "plug-in"]
    notes = [f"Read {path}, then: workbench trust {path}" for path in waiting]
    return Table(_COLUMNS, list(dict.fromkeys(rows)), notes)


def _is_of(path: str, value: str) -> bool:
    return f"/{value.replace(':', '.').split('.')[0]}/" in path or path.endswith(f"/{value.split('.')[0]}.py")
