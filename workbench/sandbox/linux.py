"""What the confinement needs of Linux and Python does not offer: Landlock, seccomp, capabilities, by ctypes.

Every function raises OSError when the kernel says no; nothing here fails in silence. Imported on any system, used on
Linux only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import stat
import struct
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from workbench.sandbox.syscalls import numbers

# Landlock: rights on files and folders, by the version of its interface that brought them.
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""The rights that a rule for a single file may name; the others are about folders."""
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT, SCOPE_SIGNAL = 1, 2

_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS = 1, 24, 28, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_SECURE_NOROOT = 0b11  # SECBIT_NOROOT and its lock: being root gives nothing back
_SECCOMP_SET_MODE_FILTER, _NEW_LISTENER, _WAIT_KILLABLE = 1, 1 << 3, 1 << 5


class _Filter(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.POINTER(_Filter)))


@lru_cache(maxsize=1)
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _failed(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


def _syscall(name: str, *arguments: object) -> int:
    number = numbers().get(name)
    if number is None:
        raise OSError(errno.ENOSYS, f"{name} is not known on {platform.machine()}")
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(_libc().syscall(ctypes.c_long(number), *wide))
    if result < 0:
        raise _failed(name)
    return result


def _prctl(what: int, *arguments: int) -> None:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    if _libc().prctl(ctypes.c_int(what), *padded) < 0:
        raise _failed(f"prctl {what}")


def supported() -> str:
    """Why this machine cannot confine a worker, from a first look; empty when it may."""
    if sys.platform != "linux":
        return f"{platform.system()} has neither Landlock nor seccomp"
    if not numbers() or sys.maxsize < 1 << 32:
        return f"the processor {platform.machine()} is not one that the filter knows"
    try:
        abi = landlock_abi()
    except OSError as error:
        return f"Landlock is not there ({os.strerror(error.errno or 0)})"
    return "" if abi >= LEAST_ABI else f"Landlock is too old (interface {abi}; {LEAST_ABI} is needed: Linux 6.2)"


LEAST_ABI = 3
"""The first interface of Landlock that also keeps files from being truncated."""


def landlock_abi() -> int:
    """The version of Landlock's interface. Raises OSError where there is none."""
    return _syscall("landlock_create_ruleset", None, 0, 1)


def die_with_parent(signal: int) -> None:
    """Get this signal when the thread that forked this process ends."""
    _prctl(_PR_SET_PDEATHSIG, signal)


def no_new_privileges() -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Give up every capability for good, also as root."""
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    try:
        for capability in range(last + 1):
            _prctl(_PR_CAPBSET_DROP, capability)
        _prctl(_PR_SET_SECUREBITS, _SECURE_NOROOT)
    except OSError as error:
        if error.errno != errno.EPERM:  # an ordinary user has none to drop from the set
            raise
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("Ii", 0x20080522, 0)  # third version, this process
    _syscall("capset", ctypes.create_string_buffer(header), ctypes.create_string_buffer(bytes(24)))


class Ruleset:
    """A Landlock ruleset in the making: everything it handles is denied unless a rule allows it.

    `abi` is the newest interface to use; rights that came later are not handled.
    """

    def __init__(self, abi: int, *, files: bool = True) -> None:
        handled = (1 << 13) - 1
        for since, right in ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)):
            handled |= right if abi >= since else 0
        self.handled = handled if files else 0
        net = _BIND_TCP | _CONNECT_TCP if abi >= 4 and files else 0
        scoped = (_SCOPE_ABSTRACT if files else 0) | SCOPE_SIGNAL if abi >= 6 else 0
        attributes = struct.pack("=QQQ", self.handled, net, scoped)[: 24 if abi >= 6 else 16 if abi >= 4 else 8]
        buffer = ctypes.create_string_buffer(attributes, len(attributes))
        self.fd = _syscall("landlock_create_ruleset", buffer, len(attributes), 0)

    def allow(self, path: str | Path, rights: int) -> bool:
        """Allow these rights on a path and all below it, links followed; False when there is nothing."""
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            self.allow_open(fd, rights)
        finally:
            os.close(fd)
        return True

    def allow_open(self, fd: int, rights: int) -> None:
        """The same for what a descriptor stands for."""
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= OF_FILES
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights & self.handled, fd), 12)
        _syscall("landlock_add_rule", self.fd, 1, rule, 0)

    def restrict(self) -> None:
        """Put this process under the ruleset, for good. Needs `no_new_privileges`."""
        _syscall("landlock_restrict_self", self.fd, 0)
        os.close(self.fd)


def install_filter(program: Sequence[tuple[int, int, int, int]]) -> int:
    """Put this process under a seccomp filter, for good; gives the descriptor on which its supervisor answers."""
    code = (_Filter * len(program))(*(_Filter(*step) for step in program))
    whole = _Program(len(program), code)
    for flags in (_NEW_LISTENER | _WAIT_KILLABLE, _NEW_LISTENER):
        try:
            listener = _syscall("seccomp", _SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(whole))
            if "seccomp" not in str(Path(f"/proc/self/fd/{listener}").readlink()):
                raise OSError(errno.ENOTSUP, "seccomp says yes and does nothing")
            return listener
        except OSError as error:
            if error.errno != errno.EINVAL or flags == _NEW_LISTENER:
                raise
    raise AssertionError
