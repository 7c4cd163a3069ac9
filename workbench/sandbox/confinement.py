"""Confines a worker from inside, before it reads a byte of its call: nothing afterwards can be given back.

In this order: no new privileges, no capabilities (also for root), Landlock (every file and folder is closed but those
of the call), seccomp (`sandbox.filter`). Network, other processes and the rest of the machine are closed by both where
both can: Landlock knows paths and signals, seccomp knows calls. What Landlock leaves open: that a file is there, its
size and dates, and where a link leads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.sandbox import filter as calls
from workbench.sandbox import linux
from workbench.sandbox.linux import Ruleset

READ = linux.READ_FILE | linux.READ_DIR
CHANGE = READ | linux.WRITE_FILE | linux.TRUNCATE | linux.REFER
CHANGE |= linux.MAKE_REG | linux.MAKE_DIR | linux.REMOVE_FILE | linux.REMOVE_DIR
OWN = CHANGE | linux.MAKE_SYM
"""In the call's own scratch a tool may also make links."""

_ITSELF = """cgroup cmdline comm environ exe fd fdinfo io limits maps mem mountinfo mounts oom_score personality smaps
smaps_rollup stat statm status"""
_SYSTEM = (
    *("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/usr/share"),
    *("/usr/local/share/fonts", "/var/cache/fontconfig", "/etc/fonts", "/etc/alternatives", "/etc/ld.so.cache"),
    *("/etc/localtime", "/etc/timezone", "/etc/mime.types", "/etc/os-release", "/etc/debian_version"),
    *("/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs", "/etc/pki/ca-trust"),
    # `localhost` is looked up in files.
    *("/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols"),
    # DuckDB 2.0 ends the process when a cgroup file exists and cannot be opened.
    *("/sys/fs/cgroup", "/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/kernel/mm/transparent_hugepage"),
    *("/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/loadavg", "/proc/version", "/proc/filesystems"),
    *("/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/osrelease"),
    # Of the worker itself: without `net`, and `task`, which holds it too. They list whom every program talks to.
    *(f"/proc/self/{name}" for name in _ITSELF.split()),
    *("/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"),
)


def confine(grants: Mapping[str, Sequence[str]], scratch: str, abi: int) -> int:
    """Confine this process; gives the descriptor on which the supervisor answers for it. Raises OSError.

    `grants`: `reads`, `lists` and `writes`, absolute paths as `sandbox.grants` gives them. `abi`: the newest interface
    of Landlock to use.
    """
    linux.no_new_privileges()
    rules = Ruleset(abi)
    for paths, rights in (
        (_SYSTEM, READ),
        (grants["reads"], READ),
        (grants["lists"], linux.READ_DIR),
        (grants["writes"], CHANGE),
        ((scratch,), OWN),
        (("/dev/null",), READ | linux.WRITE_FILE),
    ):
        for path in paths:
            rules.allow(path, rights)
    linux.drop_capabilities()
    rules.restrict()
    return linux.install_filter(calls.program(os.getpid()))


def scope_signals(abi: int) -> bool:
    """Let this process, and all it forks, signal nobody outside of themselves; False where Landlock cannot."""
    if abi < 6:
        return False
    rules: Any = Ruleset(abi, files=False)
    rules.restrict()
    return True
