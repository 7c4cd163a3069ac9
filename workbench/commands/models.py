"""`workbench models`: what the endpoint can do."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from workbench.commands.base import Verb, table
from workbench.core.errors import Refused


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
        table(("way", "works", "what came"), [(t.rung, "yes" if t.works else "no", t.detail) for t in found.tried])
        print(f"Plans are asked for by {found.used}." if found.used else "None works: this model cannot plan.")
    return 0 if found.used else 1


def _takes(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--model", help="the model to test")


VERBS = (Verb("models", "list what the model's endpoint serves, and test it", models, _takes, json=True),)
