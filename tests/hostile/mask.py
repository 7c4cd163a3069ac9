"""Runs a program on a system that lacks, or lies about, what confinement needs. Standard library only.

    python mask.py MASK program argument …

A seccomp filter of our own answers in the place of the kernel, for the program and all that it starts.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

ALLOW, ERRNO = 0x7FFF0000, 0x00050000
CREATE, ADD, RESTRICT, SECCOMP, PRCTL = 444, 445, 446, 317, 157
NEW_LISTENER, SET_SECCOMP = 8, 22

Step = tuple[int, int, int, int]


def answer(number: int, what: int) -> list[Step]:
    """For this call: the error number `what`; 0 says that it was done."""
    return [(0x15, 0, 1, number), (0x06, 0, 0, ERRNO | what)]


def answer_if(number: int, argument: int, bits: int, what: int, *, equal: bool = False) -> list[Step]:
    """The same, only when an argument has one of these bits, or is exactly that."""
    test = 0x15 if equal else 0x45
    body = [(0x20, 0, 0, 16 + 8 * argument), (test, 0, 1, bits), (0x06, 0, 0, ERRNO | what), (0x20, 0, 0, 0)]
    return [(0x15, 0, len(body), number), *body]


LANDLOCK = (CREATE, ADD, RESTRICT)
MASKS: dict[str, list[list[Step]]] = {
    "nothing": [],
    "landlock is not built in": [answer(number, errno.ENOSYS) for number in LANDLOCK],
    "landlock is switched off": [answer(number, errno.EOPNOTSUPP) for number in LANDLOCK],
    "landlock says yes and does nothing": [answer(RESTRICT, 0)],
    "landlock refuses to restrict": [answer(RESTRICT, errno.EPERM)],
    "seccomp is not built in": [
        answer(SECCOMP, errno.ENOSYS),
        answer_if(PRCTL, 0, SET_SECCOMP, errno.EINVAL, equal=True),
    ],
    "seccomp is refused": [answer(SECCOMP, errno.EINVAL), answer_if(PRCTL, 0, SET_SECCOMP, errno.EINVAL, equal=True)],
    "seccomp says yes and does nothing": [answer(SECCOMP, 0), answer_if(PRCTL, 0, SET_SECCOMP, 0, equal=True)],
    "seccomp knows no notifications": [answer_if(SECCOMP, 1, NEW_LISTENER, errno.EINVAL)],
    "neither is there": [answer(number, errno.ENOSYS) for number in (*LANDLOCK, SECCOMP)],
}


def put_on(mask: str) -> None:
    steps: list[Step] = [(0x20, 0, 0, 0)]
    for one in MASKS[mask]:
        steps += one
    steps.append((0x06, 0, 0, ALLOW))
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(program)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.syscall(SECCOMP, 1, 0, header):
        raise OSError(ctypes.get_errno(), "cannot put on the mask")


if __name__ == "__main__":
    put_on(sys.argv[1])
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the program is the test's
