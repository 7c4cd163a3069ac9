"""Keys in the system's keyring: `secret`."""

from __future__ import annotations

import argparse
import sys

from workbench.commands.base import Verb


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


def _takes(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("what", choices=("set", "list", "forget"), help="keep, list or remove")
    verb.add_argument("name", nargs="?", default="", help="the secret's name, such as TAVILY_API_KEY")


VERBS = (Verb("secret", "keep a key in the system's keyring", secret, _takes),)
