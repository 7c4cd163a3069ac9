"""Against the processes around: those that watch over the call, and those of the user."""

from functools import partial

from tests.hostile.cases.base import attack

process = partial(attack, "processes")

CASES = (
    process(
        "p01",
        "every signal call there is, to everybody, with SIGKILL",
        "alive",
        """
        for pid in others():
            raw(62, pid, 9); raw(200, pid, 9); raw(234, pid, pid, 9)
            info = struct.pack("iiii", 9, 0, -1, 0) + bytes(112)
            raw(129, pid, 9, info); raw(297, pid, pid, 9, info)
            fd = raw(434, pid, 0)
            if fd >= 0: raw(424, fd, 9, None, 0)
            group = attempt(os.getpgid, pid)
            if group and group != os.getpgid(0): attempt(os.killpg, group, 9)
        """,
    ),
    process(
        "p02",
        "everybody stopped",
        "alive",
        """
        for pid in others():
            attempt(os.kill, pid, signal.SIGSTOP)
        """,
        seconds=2.0,
    ),
    process(
        "p03",
        "its own process group and session ended",
        "alive",
        """
        attempt(os.killpg, 0, 9)
        attempt(os.killpg, os.getpgid(os.getppid()), 9)
        """,
    ),
    process(
        "p04",
        "a signal by way of a descriptor's owner (F_SETOWN)",
        "host",
        """
        import fcntl
        for pid in others():
            for number in (signal.SIGUSR1, signal.SIGIO):
                a, b = socket.socketpair()
                attempt(fcntl.fcntl, a, 10, number)
                attempt(fcntl.fcntl, a, fcntl.F_SETOWN, pid)
                attempt(fcntl.fcntl, a, 15, struct.pack("ii", 1, pid))
                attempt(fcntl.fcntl, a, fcntl.F_SETFL, os.O_ASYNC)
                b.send(b"x")
        time.sleep(0.2)
        """,
    ),
    process(
        "p05",
        "harmless signals to host and neighbour",
        "host",
        """
        for pid in others():
            for number in (signal.SIGUSR1, signal.SIGCONT, signal.SIGHUP, signal.SIGINT): attempt(os.kill, pid, number)
        time.sleep(0.2)
        """,
    ),
    process(
        "p06",
        "priority, processors, scheduler and disk priority of others",
        "host",
        """
        for pid in others():
            attempt(os.setpriority, os.PRIO_PROCESS, pid, 19); raw(141, 1, attempt(os.getpgid, pid) or 0, 19)
            attempt(os.sched_setaffinity, pid, {0}); attempt(os.sched_setscheduler, pid, os.SCHED_IDLE, os.sched_param(0))
            raw(251, 1, pid, (3 << 13) | 0); raw(314, pid, struct.pack("IIQiIQQQ", 48, 5, 0, 0, 0, 0, 0, 0), 0)
        raw(141, 2, os.getuid(), 19)
        """,
    ),
    process(
        "p07",
        "ceilings of others lowered",
        "host",
        """
        for pid in others():
            raw(302, pid, 7, struct.pack("QQ", 500, 8192), None); raw(302, pid, 4, struct.pack("QQ", 0, 0), None)
            raw(302, pid, 1, struct.pack("QQ", 1 << 29, 2 << 30), None)
        """,
    ),
    process(
        "p08",
        "who dies first when memory runs out",
        "host",
        """
        for pid in others():
            for name, text in (("oom_score_adj", "1000"), ("coredump_filter", "0x7f"), ("comm", "pwned"), ("clear_refs", "1")):
                attempt(lambda: open(f"/proc/{pid}/{name}", "w").write(text))
        """,
    ),
    process(
        "p09",
        "memory of others read at once (process_vm_readv)",
        "leak",
        """
        import re
        for pid in others():
            for line in attempt(lambda: open(f"/proc/{pid}/maps").read().splitlines()) or []:
                if " rw-p " not in line: continue
                start, end = (int(word, 16) for word in line.split()[0].split("-"))
                size = min(end - start, 32 << 20)
                buffer = ctypes.create_string_buffer(size)
                local, remote = struct.pack("QQ", ctypes.addressof(buffer), size), struct.pack("QQ", start, size)
                if raw(310, pid, local, 1, remote, 1, 0) > 0:
                    for word in re.findall(rb"CANARY_MEM_[0-9a-f]{12}", buffer.raw): print(word)
        """,
        seconds=25.0,
    ),
    process(
        "p10",
        "taken over as a debugger does",
        "token",
        """
        for pid in others():
            for request in (16, 0x4206):
                if raw(101, request, pid, 0, 0) == 0:
                    print("PWNED-" + "PTRACE")
                    raw(101, 17, pid, 0, 0)
        """,
    ),
    process(
        "p11",
        "descriptors compared and advice given (kcmp, process_madvise)",
        "token",
        """
        for pid in others():
            if raw(312, os.getpid(), pid, 0, 0, 0) >= 0: print("PWNED-" + "KCMP")
            fd = raw(434, pid, 0)
            if fd >= 0 and raw(440, fd, struct.pack("QQ", 0, 0), 1, 20, 0) >= 0: print("PWNED-" + "MADVISE")
        """,
    ),
    process(
        "p12",
        "a child by every call there is, that never ends",
        "survivor",
        """
        def stay():
            attempt(os.setsid)
            while True: time.sleep(1)
        if attempt(os.fork) == 0: stay()
        if raw(57) == 0: stay()
        if raw(56, 17, 0, 0, 0, 0) == 0: stay()
        if raw(56, 0x8000 | 17, 0, 0, 0, 0) == 0: stay()
        if raw(435, struct.pack("QQQQQQQQ", 0, 0, 0, 0, 17, 0, 0, 0), 64) == 0: stay()
        """,
    ),
    process(
        "p13",
        "children that are never waited for",
        "survivor",
        """
        for n in range(20):
            if attempt(os.fork) == 0: os._exit(0)
        time.sleep(0.2)
        os.kill(os.getpid(), 9)
        """,
    ),
    process(
        "p14",
        "forgets the signal that would end it with its supervisor",
        "survivor",
        """
        libc.prctl(1, 0, 0, 0, 0); libc.prctl(36, 1, 0, 0, 0)
        for number in range(1, 65): attempt(signal.signal, number, signal.SIG_IGN)
        attempt(os.setsid)
        for pid in others()[1:3]: attempt(os.kill, pid, 9)
        time.sleep(60)
        """,
        seconds=2.0,
    ),
    process(
        "p15",
        "a fork bomb",
        "survivor",
        """
        until = time.time() + 60
        while time.time() < until:
            attempt(os.fork)
        """,
        seconds=2.0,
        bare=False,
    ),  # with nothing to stop it, it would prove only that machines slow down
)
