"""Starts a program as a user who has nothing else to lose. Standard library only; run as root, by its path.

    python -I enter.py '{"uid": …, "control": fd, "needs": […], …}' program argument …

Mounts, network and System V objects become private, so whatever the program does to `/home`, `/tmp`, `/dev/shm` and the
loopback device ends with it. Folders that the user needs below a closed one (an interpreter in `/root`) are bound back,
read-only, under a substitute that lets others pass. The process itself stays behind as root and ends everything of that
user when the program ends, when the control pipe closes, or when the user's processes together take too much memory.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from typing import Any

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWNET = 0x00020000, 0x08000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
PR_SET_PDEATHSIG = 1
STOPPED = 90
"""Exit status when the program did not end by itself."""

LIBC = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    result = LIBC.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())
    check(result, f"mount {target}")


def closed_above(place: str) -> str | None:
    """The highest folder above a place that others may not pass through."""
    parts = place.split("/")
    for depth in range(1, len(parts)):
        folder = "/".join(parts[:depth]) or "/"
        if not os.stat(folder).st_mode & 0o001:
            return folder
    return None


def furnish(spec: dict[str, Any]) -> None:
    """Private mounts: fresh folders instead of those that anybody may write and those that are closed."""
    check(LIBC.unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET), "unshare")
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    needs = {os.path.realpath(place) for place in spec["needs"]}
    fresh = {"/home": "755", "/tmp": "1777", "/var/tmp": "1777", "/dev/shm": "1777", "/run/lock": "1777"}
    fresh |= {closed: "755" for place in needs if (closed := closed_above(place))}
    fresh = {os.path.realpath(place): mode for place, mode in fresh.items() if os.path.isdir(place)}
    hidden = [place for place in needs if any(place.startswith(f"{cover}/") for cover in fresh)]
    held = {place: os.open(place, os.O_PATH) for place in hidden}
    for place, mode in sorted(fresh.items()):
        if os.path.isdir(place):
            mount("tmpfs", place, "tmpfs", MS_NOSUID | MS_NODEV, f"mode={mode},size={spec['disk']}")
    for place, fd in sorted(held.items()):
        os.makedirs(place, 0o755, exist_ok=True)
        mount(f"/proc/self/fd/{fd}", place, "", MS_BIND | MS_REC)
        mount("none", place, "", MS_BIND | MS_REMOUNT | MS_RDONLY)
        os.close(fd)
    home = spec["home"]
    os.makedirs(home, 0o700)
    os.chown(home, spec["uid"], spec["uid"])
    resolver = f"{home}.resolv"
    with open(resolver, "w") as file:
        file.write("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    if os.path.exists("/etc/resolv.conf"):
        mount(resolver, os.path.realpath("/etc/resolv.conf"), "", MS_BIND)


def connect_loopback(addresses: list[str]) -> None:
    """Bring up the private loopback device, which also answers for these addresses of "other" machines."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for number, address in enumerate(addresses):
            name = f"lo:{number + 1}".encode()
            packed = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(control, 0x8916, struct.pack("16s16s", name, packed))  # SIOCSIFADDR
        up = struct.pack("16sh14x", b"lo", 0x1 | 0x40)
        fcntl.ioctl(control, 0x8914, up)  # SIOCSIFFLAGS
    for setting, value in {"ip_unprivileged_port_start": "0", "tcp_fastopen": "3"}.items():
        with suppress(OSError), open(f"/proc/sys/net/ipv4/{setting}", "w") as file:
            file.write(value)


def become(spec: dict[str, Any]) -> None:
    """Give up root for good, under ceilings."""
    uid = spec["uid"]
    for name, value in spec["limits"].items():
        which = getattr(resource, name)
        _, hard = resource.getrlimit(which)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (most, most))
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    os.umask(0o077)


def end_everything(uid: int) -> None:
    """Kill every process of the user until there is none; a fork bomb included, for `kill(-1)` takes all at once."""
    for _ in range(200):
        killer = os.fork()
        if killer == 0:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            with suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
            os._exit(0)
        with suppress(ChildProcessError):
            os.waitpid(killer, 0)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not any(state != "Z" for state, _ in processes(uid)):
            return
        select.select([], [], [], 0.01)


def processes(uid: int) -> list[tuple[str, int]]:
    """State and resident bytes of each process of the user."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                if os.stat(f"/proc/{name}").st_uid != uid and not owned(name, uid):
                    continue
                with open(f"/proc/{name}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
                found.append((fields[0], int(fields[21]) * resource.getpagesize()))
    return found


def owned(name: str, uid: int) -> bool:
    """Whether a process that made itself undumpable, so that its folder is root's, is the user's all the same."""
    with open(f"/proc/{name}/status") as file:
        return any(line.startswith("Uid:") and int(line.split()[1]) == uid for line in file)


def main() -> int:
    spec, program = json.loads(sys.argv[1]), sys.argv[2:]
    uid, control = spec["uid"], spec["control"]
    if program == ["end"]:
        end_everything(uid)
        return 0
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    furnish(spec)
    connect_loopback(spec["addresses"])
    child = os.fork()
    if child == 0:
        os.close(control)
        os.setsid()
        become(spec)
        os.chdir(spec["cwd"])
        os.execve(program[0], program, spec["env"])  # noqa: S606 - the program is ours
    for fd in (0, 1):
        os.close(fd)
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    status = STOPPED
    ended = os.pidfd_open(child)
    try:
        while True:
            ready, _, _ = select.select([control, ended], [], [], 0.2)
            if ended in ready:
                status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                break
            if control in ready:
                break
            if sum(size for _, size in processes(uid)) > spec["memory"]:
                print("the user's processes took too much memory and were ended", file=sys.stderr)
                break
    finally:
        end_everything(uid)
    return status if status >= 0 else 128 - status  # as shells say it


if __name__ == "__main__":
    sys.exit(main())
