"""The seccomp program, run by an interpreter of its own, on numbers and arguments of every kind."""

import errno
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.sandbox import filter as rules
from workbench.sandbox.filter import Step, program
from workbench.sandbox.syscalls import numbers

PID = 4711
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
KILL, NOTIFY, ALLOW = 0x80000000, 0x7FC00000, 0x7FFF0000
PROGRAMS = {machine: program(PID, machine) for machine in ARCH}
machines = st.sampled_from(sorted(ARCH))
words = st.integers(0, (1 << 64) - 1)
arguments = st.lists(words, min_size=6, max_size=6)


def verdict(steps: Sequence[Step], arch: int, number: int, values: Sequence[int] = (0,) * 6) -> int:
    """What the kernel would do: the one accumulator and the jumps of classic BPF."""
    data = {0: number & 0xFFFFFFFF, 4: arch}
    for at, value in enumerate(values):
        data |= {16 + 8 * at: value & 0xFFFFFFFF, 20 + 8 * at: value >> 32}
    held, at = 0, 0
    while True:
        code, true, false, value = steps[at]
        at += 1
        match code:
            case 0x20:
                held = data[value]
            case 0x54:
                held &= value
            case 0x15 | 0x35 | 0x45:
                met = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[code]
                at += true if met else false
            case 0x06:
                return value
            case _:
                raise AssertionError(f"the program holds {code:#x}")


def call(machine: str, name: str, *values: int) -> int:
    return verdict(PROGRAMS[machine], ARCH[machine], numbers(machine)[name], [*values, *(0,) * (6 - len(values))])


def refused(found: int) -> bool:
    return found & 0xFFFF0000 == 0x00050000 and found & 0xFFFF != 0


@given(machines, st.integers(0, 0xFFFFFFFF), arguments)
def test_a_call_that_is_not_named_is_never_allowed(machine: str, number: int, values: list[int]):
    by_number = {value: name for name, value in numbers(machine).items()}
    found = verdict(PROGRAMS[machine], ARCH[machine], number, values)
    if machine == "x86_64" and number >= 0x40000000:
        assert found == KILL
    elif number not in by_number:
        assert found == 0x00050000 | errno.ENOSYS
    else:
        assert (found == KILL) is False


@given(machines, st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF), arguments)
def test_a_call_by_the_numbers_of_another_processor_ends_the_worker(machine, arch, number, values):
    if arch != ARCH[machine]:
        assert verdict(PROGRAMS[machine], arch, number, values) == KILL


@pytest.mark.parametrize("machine", ARCH)
@pytest.mark.parametrize("name", rules._FORBIDDEN.split())
def test_what_is_forbidden_is_refused_whatever_it_is_given(machine: str, name: str):
    if name in numbers(machine):
        for value in (0, 1, PID, 0xFFFFFFFFFFFFFFFF):
            assert refused(call(machine, name, *(value,) * 6))


@given(machines, st.integers(0, 0xFFFFFFFF))
def test_only_a_thread_without_namespaces_may_be_started_and_the_supervisor_is_asked(machine: str, flags: int):
    thread = bool(flags & 0x10000) and not flags & 0x7E020080
    found = call(machine, "clone", flags)
    assert found == NOTIFY if thread else refused(found)


@given(machines, st.integers(0, 64), words, st.integers(0, 300))
def test_only_plain_tcp_sockets_are_made(machine: str, family: int, kind: int, protocol: int):
    plain = family in (2, 10) and kind & 0xF == 1 and protocol in (0, 6)
    found = call(machine, "socket", family, kind, protocol)
    assert found == ALLOW if plain else refused(found)
    pair = call(machine, "socketpair", family, kind, protocol)
    assert pair == ALLOW if family == 1 and kind & 0xF == 1 else refused(pair)


@given(machines, words, words)
def test_nothing_is_sent_to_an_address_or_by_fast_open(machine: str, flags: int, address: int):
    fast = bool(flags & 0x20000000)
    found = call(machine, "sendto", 3, 0, 0, flags, address)
    assert refused(found) if fast or address else found == ALLOW
    assert refused(call(machine, "sendmsg", 3, 0, flags)) == fast
    assert refused(call(machine, "sendmmsg", 3, 0, 0, flags)) == fast


@given(machines, st.integers(-(1 << 31), (1 << 31) - 1))
def test_signals_and_limits_are_for_the_worker_itself(machine: str, target: int):
    value = target & 0xFFFFFFFF
    assert refused(call(machine, "kill", value)) == (target not in (0, PID, -PID))
    for name in ("tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"):
        assert refused(call(machine, name, value)) == (target != PID)
    for name in ("prlimit64", "sched_setaffinity"):
        assert refused(call(machine, name, value)) == (target not in (0, PID))


@pytest.mark.parametrize("machine", ARCH)
def test_metadata_calls_say_yes_and_do_nothing_and_attributes_are_not_there(machine: str):
    for name in rules._WITHOUT_EFFECT.split():
        if name in numbers(machine):
            assert call(machine, name) == 0x00050000
    assert call(machine, "getxattr") == 0x00050000 | 95
    assert call(machine, "connect") == NOTIFY
    assert call(machine, "clone3") == 0x00050000 | errno.ENOSYS


@pytest.mark.parametrize("machine", ARCH)
def test_side_doors_by_descriptor_and_option_are_closed(machine: str):
    for command in (8, 10, 15):
        assert refused(call(machine, "fcntl", 3, command))
    assert call(machine, "fcntl", 3, 4) == ALLOW
    for option in (19, 23, 30, 31):
        assert refused(call(machine, "setsockopt", 3, 6, option))
        assert call(machine, "setsockopt", 3, 1, option) == ALLOW
    for request in (
        0x5412,
        0x541C,
        0x8901,
        0x8902,
        0x40086602,
    ):  # TIOCSTI TIOCLINUX FIOSETOWN SIOCSPGRP FS_IOC_SETFLAGS
        assert refused(call(machine, "ioctl", 3, request))
    for what in (1, 4, 22, 35, 59):  # death signal, dumpable, seccomp, memory map, syscall dispatch
        assert refused(call(machine, "prctl", what))


def test_an_unknown_processor_has_no_numbers_at_all():
    assert numbers("riscv64") == {}
