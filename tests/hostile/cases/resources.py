"""More than its share: memory, disk, descriptors, output, time."""

from functools import partial

from tests.hostile.cases.base import attack

resource = partial(attack, "resources")
MB = 1 << 20

CASES = (
    resource(
        "d01",
        "three gigabytes of shared memory, which no limit on data counts",
        "token",
        """
        import mmap
        held = []
        for n in range(48):
            held.append(mmap.mmap(-1, 64 << 20))
            for at in range(0, 64 << 20, 4096): held[-1][at] = 1
        print("PWNED-" + "SHARED")
        """,
        seconds=20.0,
    ),
    resource(
        "d02",
        "three gigabytes in files that live in memory only",
        "token",
        """
        held = []
        for n in range(48):
            fd = raw(319, b"x", 0)
            if fd < 0: raise SystemExit
            held.append(fd)
            for part in range(16): os.write(fd, b"\\1" * (4 << 20))
        print("PWNED-" + "MEMFD")
        """,
        seconds=20.0,
    ),
    resource(
        "d03",
        "a gigabyte in files that were deleted while open",
        "token",
        """
        held = []
        for n in range(128):
            file = open("f", "wb", 0)
            os.unlink("f")
            held.append(file)
            file.write(b"\\1" * (8 << 20))
        time.sleep(1.5)
        print("PWNED-" + "DELETED")
        """,
        seconds=20.0,
    ),
    resource(
        "d04",
        "room in the files that results are written to",
        "token",
        """
        from workbench import toolkit
        line = toolkit._Host.call.__self__._line
        held = []
        for n in range(12):
            _, fd = line.ask({"kind": "output", "as": "frame", "title": "", "alt": ""})
            held.append(fd)
            for part in range(4): os.write(fd, b"\\1" * (8 << 20))
        time.sleep(1.5)
        print("PWNED-" + "RESULTS")
        """,
        seconds=20.0,
        bare=False,
        limits={"returned": 128 * MB},
    ),
    resource(
        "d05",
        "three hundred megabytes of complaints",
        "outcap",
        """
        for n in range(300): sys.stderr.write("A" * (1 << 20))
        """,
    ),
    resource(
        "d06",
        "a million lines of progress",
        "outcap",
        """
        from workbench import toolkit
        for n in range(50_000): toolkit.progress("A" * 400)
        """,
        bare=False,
    ),
    resource(
        "d07",
        "thousands of open files",
        "token",
        """
        held = [os.open("/dev/null", os.O_RDONLY) for n in range(5000)]
        print("PWNED-" + "FILES")
        """,
    ),
    resource(
        "d08",
        "a folder in a folder in a folder",
        "intact",
        """
        for n in range(3000):
            os.mkdir("d")
            os.chdir("d")
        """,
        bare=False,
        seconds=20.0,
    ),
    resource(
        "d09",
        "names that are no text, folders that are closed, a file for everyone",
        "intact",
        """
        for name in (b"\\xff\\xfe", b"a\\nb", b"-rf", b"x" * 255, b"..."):
            os.mkdir(name); open(name + b"/f" if len(name) < 200 else b"g", "w").close()
        os.makedirs("closed/in"); open("closed/in/f", "w").close()
        attempt(os.chmod, "closed/in", 0); attempt(os.chmod, "closed", 0); attempt(os.chmod, ".", 0); attempt(os.chmod, "..", 0)
        """,
        bare=False,
    ),
    resource(
        "d10",
        "fifty thousand small files",
        "intact",
        """
        for n in range(50_000): os.close(os.open(f"f{n}", os.O_CREAT | os.O_WRONLY))
        """,
        bare=False,
        seconds=10.0,
    ),
    resource(
        "d11",
        "a file of a terabyte with nothing in it",
        "token",
        """
        with open("hole", "wb") as file: file.truncate(1 << 40)
        print("PWNED-" + "SPARSE")
        """,
        bare=False,
    ),
    resource(
        "d12",
        "every signal blocked, in every thread, at full speed",
        "time",
        """
        import threading
        def spin():
            signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))
            while True: pass
        for n in range(8): threading.Thread(target=spin).start()
        spin()
        """,
        seconds=2.0,
    ),
    resource(
        "d13",
        "everything closed, then asleep",
        "time",
        """
        os.closerange(0, 4096)
        time.sleep(60)
        """,
        seconds=2.0,
    ),
    resource(
        "d14",
        "memory in pipes and socket buffers",
        "token",
        """
        import fcntl
        held = []
        for n in range(4000):
            a, b = os.pipe()
            held += [a, b]
            attempt(fcntl.fcntl, b, 1031, 1 << 20)
            os.set_blocking(b, False)
            for part in range(16): attempt(os.write, b, b"\\1" * 65536)
        print("PWNED-" + "PIPES")
        """,
        bare=False,
        seconds=20.0,
    ),
    resource(
        "d15",
        "a stack without end",
        "alive",
        """
        sys.setrecursionlimit(10**9)
        def deeper(): return deeper() + 1
        deeper()
        """,
        seconds=4.0,
    ),
    resource(
        "d16",
        "threads that start threads, all at once",
        "token",
        """
        import threading
        threading.stack_size(65536)
        most, gate = [0], threading.Lock()
        def grow():
            for n in range(200):
                try: threading.Thread(target=hold, daemon=True).start()
                except RuntimeError: time.sleep(0.001)
        def hold():
            with gate: most[0] = max(most[0], threading.active_count())
            time.sleep(3)
        growers = [threading.Thread(target=grow) for _ in range(8)]
        for one in growers: one.start()
        for one in growers: one.join()
        if most[0] >= 500: print("PWNED-" + "THREADS", most[0])
        """,
    ),
    resource(
        "d17",
        "a gigabyte where the path is too long to look",
        "token",
        """
        for n in range(2500):
            os.mkdir("d")
            os.chdir("d")
        for n in range(128):
            with open(f"f{n}", "wb", 0) as file: file.write(b"\1" * (8 << 20))
        time.sleep(1)
        print("PWNED-" + "DEEP")
        """,
        seconds=20.0,
        bare=False,
    ),
    resource(
        "d18",
        "a gigabyte in a folder that may be written and not read",
        "token",
        """
        os.mkdir("dark", 0o300)
        os.chdir("dark")
        for n in range(128):
            with open(f"f{n}", "wb", 0) as file: file.write(b"\1" * (8 << 20))
        time.sleep(1)
        print("PWNED-" + "DARK")
        """,
        seconds=20.0,
        bare=False,
    ),
)
