"""Through the kernel: other ways into it, and facilities that outlive a call or lead out of it."""

from functools import partial

from tests.hostile.cases.base import Head, attack

system = partial(attack, "system")

INT80 = Head("""
import mmap
libc.mmap.restype = ctypes.c_void_p
page = libc.mmap(None, 8192, 7, 0x62, -1, 0)
old = None
if page not in (None, ctypes.c_void_p(-1).value):
    # push rbx, rdi; eax = number, ebx = first, ecx = second, edx = esi = fourth; int 0x80; pop; ret
    code = bytes.fromhex("5389f889f389d189cacd805bc3")
    ctypes.memmove(page, code, len(code))
    old = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int)(page)
    at = page + 4096
""")

CASES = (
    system(
        "s01",
        "the 32-bit entry of the kernel: open",
        "leak",
        INT80
        + """
        if old:
            path = b"@SECRET@\\0"
            ctypes.memmove(at, path, len(path))
            fd = old(5, at & 0xFFFFFFFF, 0)
            print("fd", fd)
            if fd >= 0: print(os.read(fd, 4096))
        """,
    ),
    system(
        "s02",
        "the 32-bit entry of the kernel: a socket, a child, a signal",
        "token",
        INT80
        + """
        if old:
            fd = old(359, 2, 1)
            if fd >= 0: print("PWNED-" + "SOCKET32")
            if old(37, @PID@, 0) == 0: print("PWNED-" + "KILL32")
        """,
    ),
    system(
        "s03",
        "the x32 numbers of the same calls",
        "token",
        """
        for number in (41, 57, 59, 425):
            if raw(0x40000000 | number, 2, 1, 0) >= 0: print("PWNED-" + "X32")
        """,
        bare=False,
    ),  # few kernels have them
    system(
        "s04",
        "io_uring",
        "token",
        """
        if raw(425, 8, ctypes.create_string_buffer(240)) >= 0: print("PWNED-" + "URING")
        """,
    ),
    system(
        "s05",
        "bpf, userfaultfd, perf events",
        "token",
        """
        for number, arguments in {
            321: (0, struct.pack("IIII", 1, 4, 4, 1) + bytes(112), 128),
            323: (1,),
            298: (struct.pack("IIQQQQQ", 1, 128, 0, 0, 0, 0, 0x23) + bytes(80), 0, -1, -1, 0),
        }.items():
            if raw(number, *arguments) >= 0: print("PWNED-" + str(number))
        """,
    ),
    system(
        "s06",
        "message queues and semaphores that outlive the call",
        "token",
        """
        if raw(240, b"hostile", 0o102, 0o600, None) >= 0: print("PWNED-" + "MQ")
        if raw(68, 0, 0o1600) >= 0: print("PWNED-" + "MSG")
        if raw(64, 0, 1, 0o1600) >= 0: print("PWNED-" + "SEM")
        """,
    ),
    system(
        "s07",
        "a key in the session's ring, and someone else's ring",
        "token",
        """
        if raw(248, b"user", b"hostile", b"x", 1, -4) >= 0: print("PWNED-" + "USERKEY")
        if raw(250, 0, -4, 1) >= 0: print("PWNED-" + "RING")
        if raw(250, 1, None) >= 0: print("PWNED-" + "JOIN")
        """,
    ),
    system(
        "s08",
        "code in a memory file",
        "token",
        """
        fd = raw(319, b"x", 0)
        if fd >= 0:
            with open(fd, "wb", closefd=False) as program: program.write(b"#!/bin/sh\\necho PWNED-\\"\\"EXEC\\n")
            sys.stdout.flush()
            argv = (ctypes.c_char_p * 2)(b"x", None)
            raw(322, fd, b"", argv, None, 0x1000)
            raw(59, f"/proc/self/fd/{fd}".encode(), argv, None)
        """,
    ),
    system(
        "s09",
        "filters of its own on top, which lie to the host's code in it",
        "alive",
        """
        # Everything is allowed but exit_group, write and close answer "done" without doing it.
        lie = [(0x20, 0, 0, 0), (0x15, 1, 0, 231), (0x15, 0, 1, 3), (0x06, 0, 0, 0x00050000), (0x06, 0, 0, 0x7FFF0000)]
        program = b"".join(struct.pack("HBBI", *one) for one in lie)
        buffer = ctypes.create_string_buffer(program)
        header = struct.pack("HxxxxxxQ", len(lie), ctypes.addressof(buffer))
        libc.prctl(38, 1, 0, 0, 0)
        print(raw(317, 1, 0, header))
        os._exit(0)
        """,
        seconds=2.0,
        bare=False,
    ),
    system(
        "s10",
        "strict mode, in which nothing but read and write is left",
        "alive",
        """
        libc.prctl(22, 1, 0, 0, 0)
        """,
        seconds=2.0,
        bare=False,
    ),
    system(
        "s11",
        "asks to be traced by whoever supervises it, then stops",
        "alive",
        """
        raw(101, 0, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGTRAP)
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(60)
        """,
        seconds=2.0,
    ),
    system(
        "s12",
        "ceilings raised, then three gigabytes taken",
        "token",
        """
        import resource
        for name in ("AS", "DATA", "CPU", "FSIZE", "NOFILE", "NPROC", "CORE"):
            which = getattr(resource, "RLIMIT_" + name)
            for value in (resource.RLIM_INFINITY, resource.getrlimit(which)[1]):
                attempt(resource.setrlimit, which, (value, value))
                raw(302, 0, which, struct.pack("QQ", 2**64 - 1, 2**64 - 1), None)
        taken = [bytearray(b"\\1") * (64 << 20) for _ in range(48)]
        print("PWNED-" + "RAISED")
        """,
    ),
    system(
        "s13",
        "a core dump where the call stood",
        "alive",
        """
        import resource
        attempt(resource.setrlimit, resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
        os.abort()
        """,
        bare=False,  # it harms nobody but itself unless somebody waits for it
    ),
    system(
        "s14",
        "its own memory searched for what the server has seen",
        "leak",
        """
        import re
        with open("/proc/self/mem", "rb", 0) as memory:
            for line in open("/proc/self/maps"):
                if line.split()[1][0] != "r" or "[v" in line: continue
                start, end = (int(word, 16) for word in line.split()[0].split("-"))
                memory.seek(start)
                data = attempt(memory.read, min(end - start, 256 << 20)) or b""
                for word in re.findall(rb"CANARY_(?:MEM|ENV|FILE|ARG)_[0-9a-f]{12}", data): print(word)
        """,
        seconds=25.0,
        bare=False,
    ),
    system(
        "s15",
        "time, name and date of the machine",
        "host",
        """
        raw(227, 0, struct.pack("qq", 1, 0)); raw(170, b"hostile", 7); raw(164, struct.pack("qq", 1, 0), None)
        raw(159, bytes(208)); raw(305, 0, bytes(208))
        """,
        bare=False,
    ),  # needs root anyway
    system(
        "s16",
        "other namespaces joined by way of their owner",
        "token",
        """
        import threading
        mine = [thread.native_id for thread in threading.enumerate()]
        for pid in others():
            if pid in mine: continue
            for kind in ("user", "mnt", "net", "pid", "ipc"):
                fd = attempt(os.open, f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
                if fd is not None: print("PWNED-" + kind)
        """,
    ),
)
