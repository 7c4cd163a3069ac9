"""Random system calls from inside a confined worker: any number, any arguments, many of them plausible.

The script counts aloud, so that a suite knows how many calls there were; a worker that its own calls destroy has done
no harm. What would is judged as for any attack.
"""

from __future__ import annotations

from tests.hostile.case import Case

CALLS = 500
"""Of one worker, when nothing ends it before."""
SCRIPT = """
import ctypes, os, random, signal, struct, time
chance = random.Random(@SEED@)
libc = ctypes.CDLL(None, use_errno=True)
paths = [b"@SECRET@", b"@NOTEBOOK@", b"@DATA@", b"@HOME@", b"@HOME@/new", b"@UNIX@", b"/proc/@PID@/mem", b"/proc/@PID@/environ", b"..", b"x", b"/", b""]
port = struct.pack(">H", @TCP@)
texts = [p + b"\\0" for p in paths] + [
    struct.pack("H", 2) + port + bytes([127, 0, 0, 1]) + bytes(8), struct.pack("H", 1) + b"@UNIX@\\0", struct.pack("H", 1) + b"\\0@ABSTRACT@",
    struct.pack("QQQ", 0, 0, 0), struct.pack("QQ", 2**64 - 1, 2**64 - 1), struct.pack("qq", 0, 1000), bytes(256), b"MARK" * 16,
    struct.pack("QQQQQQQQ", 0, 0, 0, 0, 17, 0, 0, 0),
]
held = [ctypes.create_string_buffer(t, max(len(t), 512)) for t in texts]
places = [ctypes.addressof(b) for b in held]
vector = ctypes.create_string_buffer(b"".join(struct.pack("QQ", p, 16) for p in places[:8]))
places.append(ctypes.addressof(vector))
pids = [@PID@, os.getppid(), os.getpid(), -1, 0, 1]
kinds = [
    lambda: chance.choice((0, 1, 2, -1, -100)), lambda: chance.randrange(0, 24), lambda: chance.choice(places), lambda: chance.choice(places),
    lambda: chance.choice(pids), lambda: 1 << chance.randrange(0, 63), lambda: chance.getrandbits(32), lambda: chance.getrandbits(63),
    lambda: chance.choice((9, 10, 16, 24, 64, 112, 4096)), lambda: chance.randrange(0, 64),
]
# What only ends or maims the caller itself, and so ends the test: kept rare.
maiming = {9, 10, 11, 12, 13, 14, 15, 25, 28, 34, 37, 38, 56, 60, 130, 158, 160, 231, 273, 302, 334, 435, 436, 3, 33, 292}
signal.signal(signal.SIGALRM, lambda number, frame: None)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
for count in range(1, @CALLS@ + 1):
    number = chance.randrange(0, 475)
    if number in (15, 60, 231) or (number in maiming and chance.random() > 0.02): continue
    libc.syscall(ctypes.c_long(number), *[ctypes.c_long(chance.choice(kinds)()) for _ in range(6)])
    if count % 20 == 0: os.write(1, b"CALLS %d\\n" % count)
"""


def fuzzing(seed: int) -> Case:
    """A worker's worth of random calls."""
    code = SCRIPT.replace("@SEED@", str(seed)).replace("@CALLS@", str(CALLS))
    return Case(id=f"z{seed}", title="random system calls", category="fuzz", oracle="host", seconds=6.0, code=code)


def counted(text: str) -> int:
    """How many calls a worker says it made."""
    said = [line for line in text.splitlines() if line.startswith("CALLS ")]
    return int(said[-1].split()[1]) if said else 0
