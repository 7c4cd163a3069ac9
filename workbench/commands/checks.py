"""What can be checked: `doctor`, `audit`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from workbench.commands.base import Verb, table


def doctor(options: argparse.Namespace) -> int:
    from workbench.bridge import wait
    from workbench.doctor import examine, examine_sandbox, insufficient
    from workbench.workbench import current

    checks = wait(examine_sandbox(current()) if options.sandbox or options.require else examine(current()))
    table(("check", "ok", "detail"), [(c.name, "yes" if c.ok else "NO", c.detail) for c in checks], options.json)
    if options.require and insufficient(current(), options.require):
        print(f"Isolation level {options.require} is required; {current().sandbox.level} is in force.", file=sys.stderr)
        return 3
    return 0 if all(check.ok for check in checks) else 1


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


def _doctor(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--sandbox", action="store_true", help="check the isolation of tools only")
    verb.add_argument("--require", choices=("process", "kernel"), help="exit 3 when the level is lower")


def _audit(verb: argparse.ArgumentParser) -> None:
    text = "verify the trail (what it does when nothing is said), or print its head to note it"
    verb.add_argument("what", nargs="?", default="verify", choices=("verify", "head"), help=text)
    verb.add_argument("--head", default="", help="a head noted earlier, which must be in the trail")


VERBS = (
    Verb("doctor", "check this installation", doctor, _doctor, json=True),
    Verb("audit", "check that the audit trail is whole", audit, _audit, json=True),
)
