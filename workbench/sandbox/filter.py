"""The seccomp filter of a worker: which system calls it may make, as a program for the kernel.

Everything that is not named here does not exist (ENOSYS), also what later kernels bring. Some calls are not left to the
kernel alone: `connect` and the start of a thread are put to the supervisor, which hands in a connection or counts;
calls about a file's metadata, which Landlock does not cover, do nothing and say that they did, so that `shutil.copy2`
and `zipfile` go on.

The filter looks at numbers only, never at what a pointer points to: another thread could change that meanwhile. Hence
whole kinds of sockets are closed rather than single addresses.
"""

from __future__ import annotations

import errno
import platform
import socket
from collections.abc import Mapping, Sequence

from workbench.sandbox.syscalls import numbers

Step = tuple[int, int, int, int]

_ALLOWED = """
read write open openat openat2 creat close close_range lseek pread64 pwrite64 readv writev preadv pwritev preadv2
pwritev2 stat fstat lstat newfstatat statx statfs fstatfs access faccessat faccessat2 readlink readlinkat getdents
getdents64 getcwd chdir fchdir mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink
symlinkat truncate ftruncate fallocate fsync fdatasync sync_file_range fadvise64 readahead copy_file_range sendfile
splice tee vmsplice flock umask dup dup2 dup3 pipe pipe2 poll ppoll select pselect6 epoll_create epoll_create1
epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4 timerfd_create timerfd_settime
timerfd_gettime mmap mprotect munmap mremap msync mincore madvise brk mlock munlock mlock2 mseal pkey_mprotect
pkey_alloc pkey_free membarrier rseq rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait
rt_sigsuspend sigaltstack restart_syscall pause futex futex_wait futex_wake futex_waitv futex_requeue set_robust_list
get_robust_list set_tid_address exit exit_group wait4 waitid arch_prctl getpid gettid getppid getpgrp getpgid getsid
getuid geteuid getgid getegid getgroups getresuid getresgid capget getrlimit setrlimit getrusage getpriority times
sysinfo uname getcpu getrandom sched_yield sched_getaffinity sched_getparam sched_getscheduler sched_getattr
sched_get_priority_max sched_get_priority_min sched_rr_get_interval nanosleep clock_nanosleep clock_gettime
clock_getres gettimeofday time alarm getitimer setitimer timer_create timer_settime timer_gettime timer_getoverrun
timer_delete recvfrom recvmsg recvmmsg shutdown getsockname getpeername getsockopt
"""
_FORBIDDEN = """
fork vfork execve execveat setsid setpgid tkill pidfd_open pidfd_send_signal pidfd_getfd ptrace process_vm_readv
process_vm_writev kcmp bind listen accept accept4 seccomp landlock_create_ruleset landlock_add_rule
landlock_restrict_self setuid setgid setreuid setregid setresuid setresgid setgroups capset personality unshare setns
chroot pivot_root mount umount2 open_by_handle_at name_to_handle_at mknod mknodat memfd_create memfd_secret shmget
shmat shmctl msgget semget semop keyctl add_key request_key bpf perf_event_open userfaultfd io_uring_setup
io_uring_enter io_uring_register setpriority sched_setscheduler sched_setparam sched_setattr ioprio_set inotify_init1
inotify_add_watch fanotify_init quotactl init_module finit_module delete_module kexec_load reboot swapon syslog
"""
_WITHOUT_EFFECT = """
chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat setxattr lsetxattr
fsetxattr removexattr lremovexattr fremovexattr
"""
_WITHOUT_ATTRIBUTES = "getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr"
"""As on a file system that keeps no attributes."""

_KILL, _ERRNO, _NOTIFY, _ALLOW = 0x80000000, 0x00050000, 0x7FC00000, 0x7FFF0000
_EPERM, _ENOSYS, _EACCES, _ENOTSUP, _NOTHING = (_ERRNO | number for number in (1, 38, 13, 95, 0))
_ARCH: Mapping[str, int] = {"x86_64": 0xC000003E, "amd64": 0xC000003E, "aarch64": 0xC00000B7, "arm64": 0xC00000B7}
_X32 = 0x40000000
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_BITS, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06

_CLONE_THREAD, _CLONE_NEW = 0x00010000, 0x7E020080
"""The flag of a thread, and those of every kind of namespace."""
_MSG_FASTOPEN = 0x20000000
_OWNERS = (8, 10, 15, 1024, 1026)
"""F_SETOWN, F_SETSIG, F_SETOWN_EX: signals for others by way of a descriptor. F_SETLEASE, F_NOTIFY: a hold on files
that may only be read, and word of what others do with them."""
_FAST_OPEN = (19, 23, 30, 31)  # TCP_REPAIR, TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_ULP
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS TIOCGWINSZ FIONREAD FIONBIO FIONCLEX FIOCLEX
# Name, dumpable?, capability bounding set?, seccomp?, timer slack, no new privileges, huge pages, names of mappings
_PRCTLS = (15, 16, 3, 23, 21, 29, 30, 38, 39, 41, 42, 0x53564D41)
_TYPE = 0xF
"""The bits of a socket's type that are not flags."""


def program(pid: int, machine: str = "") -> list[Step]:
    """The filter for the worker with this number."""
    machine = (machine or platform.machine()).lower()
    known = numbers(machine)
    steps: list[Step] = [(_LOAD, 0, 0, 4), (_JUMP_EQUAL, 1, 0, _ARCH[machine]), _give(_KILL), (_LOAD, 0, 0, 0)]
    if _ARCH[machine] == _ARCH["x86_64"]:
        steps += [(_JUMP_AT_LEAST, 0, 1, _X32), _give(_KILL)]
    for name, body in _checked(pid).items():
        if name in known:
            steps += [(_JUMP_EQUAL, 0, len(body), known[name]), *body]
    verdicts = {_ALLOWED: _ALLOW, _WITHOUT_EFFECT: _NOTHING, _WITHOUT_ATTRIBUTES: _ENOTSUP, _FORBIDDEN: _EPERM}
    for names, verdict in verdicts.items():
        for name in names.split():
            if name in known:
                steps += [(_JUMP_EQUAL, 0, 1, known[name]), _give(verdict)]
    return [*steps, _give(_ENOSYS)]


def _checked(pid: int) -> Mapping[str, Sequence[Step]]:
    """The calls whose arguments decide. Each body ends in a verdict on every way through it."""
    inet, unix = (int(socket.AF_INET), int(socket.AF_INET6)), (int(socket.AF_UNIX),)
    stream = [*_only(1, (int(socket.SOCK_STREAM),), _EACCES, mask=_TYPE), *_only(2, (0, 6), _EACCES)]
    own = _only(0, (pid,), _EPERM)
    return {
        "connect": [_give(_NOTIFY)],
        "clone": [*_flags(0, _CLONE_NEW, _EPERM), *_needs(0, _CLONE_THREAD, _EPERM), _give(_NOTIFY)],
        "clone3": [_give(_ENOSYS)],
        "socket": [*_only(0, inet, _EACCES), *stream, _give(_ALLOW)],
        # A datagram socket could send to any address there is.
        "socketpair": [*_only(0, unix, _EACCES), *_only(1, (1,), _EACCES, mask=_TYPE), _give(_ALLOW)],
        "sendto": [*_flags(3, _MSG_FASTOPEN, _EACCES), *_zero(4, _EACCES), _give(_ALLOW)],
        "sendmsg": [*_flags(2, _MSG_FASTOPEN, _EACCES), _give(_ALLOW)],
        "sendmmsg": [*_flags(3, _MSG_FASTOPEN, _EACCES), _give(_ALLOW)],
        "setsockopt": [*_unless_both(1, 6, 2, _FAST_OPEN, _EPERM), _give(_ALLOW)],
        "kill": [*_only(0, (pid, 0, -pid & 0xFFFFFFFF), _EPERM), _give(_ALLOW)],
        "tgkill": [*own, _give(_ALLOW)],
        "rt_sigqueueinfo": [*own, _give(_ALLOW)],
        "rt_tgsigqueueinfo": [*own, _give(_ALLOW)],
        "prlimit64": [*_only(0, (0, pid), _EPERM), _give(_ALLOW)],
        "sched_setaffinity": [*_only(0, (0, pid), _EPERM), _give(_ALLOW)],
        "fcntl": [*_none_of(1, _OWNERS, _EPERM), _give(_ALLOW)],
        "ioctl": [*_only(1, _IOCTLS, _ERRNO | errno.ENOTTY), _give(_ALLOW)],
        "prctl": [*_only(0, _PRCTLS, _EPERM), _give(_ALLOW)],
    }


def _give(verdict: int) -> Step:
    return (_RETURN, 0, 0, verdict)


def _argument(number: int, high: bool = False) -> Step:
    return (_LOAD, 0, 0, 16 + 8 * number + (4 if high else 0))


def _only(number: int, values: Sequence[int], otherwise: int, mask: int = 0xFFFFFFFF) -> list[Step]:
    """Go on when an argument, as the 32 bits that the kernel takes of it, is one of these."""
    jumps = [(_JUMP_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
    masked = [(_AND, 0, 0, mask)] if mask != 0xFFFFFFFF else []
    return [_argument(number), *masked, *jumps, _give(otherwise)]


def _none_of(number: int, values: Sequence[int], verdict: int) -> list[Step]:
    jumps = [(_JUMP_EQUAL, len(values) - 1 - at, 0 if at < len(values) - 1 else 1, v) for at, v in enumerate(values)]
    return [_argument(number), *jumps, _give(verdict)]


def _flags(number: int, bits: int, verdict: int) -> list[Step]:
    """Give the verdict when one of these bits is set."""
    return [_argument(number), (_JUMP_BITS, 0, 1, bits), _give(verdict)]


def _needs(number: int, bit: int, otherwise: int) -> list[Step]:
    return [_argument(number), (_JUMP_BITS, 1, 0, bit), _give(otherwise)]


def _zero(number: int, otherwise: int) -> list[Step]:
    """Go on when a pointer is none."""
    one = [(_JUMP_EQUAL, 1, 0, 0), _give(otherwise)]
    return [_argument(number), *one, _argument(number, high=True), *one]


def _unless_both(first: int, value: int, second: int, values: Sequence[int], verdict: int) -> list[Step]:
    """Give the verdict when the first argument has the value and the second one of its values."""
    rest = _none_of(second, values, verdict)
    return [_argument(first), (_JUMP_EQUAL, 0, len(rest), value), *rest]
