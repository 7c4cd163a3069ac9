"""What most attacks begin with."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from tests.hostile.case import Case, Oracle

PRELUDE = '''
import ctypes, os, signal, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def raw(number, *arguments):
    """A system call of x86_64 by its number."""
    return libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
def attempt(function, *arguments, **named):
    try:
        return function(*arguments, **named)
    except (OSError, ValueError, AttributeError) as error:
        return None
def others():
    """Processes that are worth an attack: host, ancestors, neighbours; blindly where they cannot be listed."""
    found, parent = [@PID@], os.getppid()
    while parent > 1 and parent not in found:
        found.append(parent)
        line = attempt(lambda: open(f"/proc/{parent}/stat").read())
        parent = int(line.rsplit(")", 1)[1].split()[1]) if line else 0
    listed = attempt(os.listdir, "/proc") or [str(n) for n in range(max(2, @PID@ - 5), os.getpid() + 5)]
    for name in listed:
        if name.isdigit() and int(name) not in (*found, os.getpid()):
            owner = attempt(os.stat, f"/proc/{name}")
            if owner is None or owner.st_uid == os.getuid():
                found.append(int(name))
    return found
'''


class Head(str):
    """The beginning of several scripts; what is added to it may be indented."""

    __slots__ = ()

    def __add__(self, body: str) -> Head:
        return Head(str(self) + dedent(body))


def attack(category: str, name: str, title: str, oracle: Oracle, code: str, **more: Any) -> Case:
    """A case whose script starts with the prelude."""
    for part in ("then", "beside"):
        if part in more:
            more[part] = PRELUDE + dedent(more[part])
    return Case(id=name, title=title, oracle=oracle, category=category, code=PRELUDE + dedent(code), **more)
