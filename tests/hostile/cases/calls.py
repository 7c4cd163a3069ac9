"""From one call to another: at the same time, afterwards, and through what they share."""

from functools import partial

from tests.hostile.cases.base import attack

calls = partial(attack, "calls", bare=False)

CASES = (
    calls(
        "k01",
        "the scratch folder of a call at the same time",
        "leak",
        """
        import glob
        for turn in range(40):
            for pattern in ("../../*/*/*", "@WORKBENCH@/scratch/*/*/*"):
                for path in glob.glob(pattern):
                    if path.endswith("mine.txt"): print(attempt(lambda: open(path).read()))
            print(attempt(os.listdir, "../.."), attempt(os.listdir, "@WORKBENCH@/scratch"))
            time.sleep(0.02)
        """,
        beside="""
        open("mine.txt", "w").write("@CALLSECRET@")
        time.sleep(0.6)
        """,
    ),
    calls(
        "k02",
        "the memory of a call at the same time",
        "leak",
        """
        import re
        time.sleep(0.3)
        for pid in others():
            for line in attempt(lambda: open(f"/proc/{pid}/maps").read().splitlines()) or []:
                if " rw-p " not in line: continue
                start, end = (int(word, 16) for word in line.split()[0].split("-"))
                size = min(end - start, 32 << 20)
                buffer = ctypes.create_string_buffer(size)
                local, remote = struct.pack("QQ", ctypes.addressof(buffer), size), struct.pack("QQ", start, size)
                raw(310, pid, local, 1, remote, 1, 0)
                for word in re.findall(rb"CANARY_CALL_[0-9a-f]{12}", buffer.raw): print(word)
        """,
        beside="""
        held = "@CALLSECRET@".encode()
        time.sleep(1.5)
        """,
        seconds=25.0,
    ),
    calls(
        "k03",
        "a call at the same time ended, stopped and slowed",
        "alive",
        """
        time.sleep(0.3)
        for pid in range(os.getpid() - 60, os.getpid() + 60):
            if pid not in (os.getpid(), @PID@):
                for number in (signal.SIGSTOP, signal.SIGKILL): attempt(os.kill, pid, number)
                fd = raw(434, pid, 0)
                if fd >= 0: raw(424, fd, 9, None, 0)
        """,
        beside="""
        time.sleep(1.0)
        print("still here")
        """,
        seconds=8.0,
    ),
    calls(
        "k04",
        "modules and environment poisoned for the next call",
        "token",
        """
        import builtins, json
        import pandas
        os.environ["POISON"] = "1"
        builtins.POISON = 1
        json.loads = pandas.read_csv = lambda *a, **k: print("PWNED-" + "POISON")
        sys.modules["csv"] = sys.modules["json"]
        sys.path.insert(0, os.getcwd())
        from workbench import toolkit
        toolkit.progress = None
        """,
        then="""
        import builtins, json, csv
        import pandas
        from workbench import toolkit
        json.loads("1"); pandas.read_csv("@DATA@")
        if "POISON" in os.environ or hasattr(builtins, "POISON") or csv is json or toolkit.progress is None: print("PWNED-" + "POISON")
        """,
    ),
    calls(
        "k05",
        "modules left where the next call would find them",
        "token",
        """
        for name in ("pandas", "json", "numpy", "sitecustomize", "usercustomize", "toolkit", "evil"):
            for place in (os.getcwd(), os.path.expanduser("~"), os.environ.get("TMPDIR", "/tmp"), os.environ.get("MPLCONFIGDIR", "."), *sys.path):
                attempt(lambda: open(os.path.join(place, name + ".py"), "w").write('print("PWNED-" + "MODULE")'))
                attempt(lambda: open(os.path.join(place, name + ".pth"), "w").write('import os; print("PWNED-" + "PTH")'))
        """,
        then="""
        import json, pandas
        try: import evil
        except ImportError: pass
        """,
    ),
    calls(
        "k06",
        "files left for the next call",
        "leak",
        """
        for place in ("..", "../..", os.environ.get("TMPDIR", "/tmp"), os.environ["HOME"], "/tmp", "/dev/shm", "@WORKBENCH@/scratch", "@WORKBENCH@"):
            attempt(lambda: open(os.path.join(place, "left-behind"), "w").write("@CALLSECRET@"))
        """,
        then="""
        for place in ("..", "../..", os.environ.get("TMPDIR", "/tmp"), os.environ["HOME"], "/tmp", "/dev/shm", "@WORKBENCH@/scratch", "@WORKBENCH@"):
            print(attempt(lambda: open(os.path.join(place, "left-behind")).read()))
        """,
    ),
    calls(
        "k07",
        "the way in that the host uses to ask for calls",
        "token",
        """
        import glob
        from workbench import toolkit
        mine = toolkit._Host.call.__self__._line._channel.fileno()
        names = [line.split()[-1] for line in (attempt(lambda: open("/proc/net/unix").read().splitlines()) or []) if line.split()[-1][0] in "/@"]
        names += glob.glob("@WORKBENCH@/*") + glob.glob("@WORKBENCH@/*/*") + glob.glob("/run/user/*/*") + glob.glob("/tmp/*") + glob.glob("/tmp/*/*")
        for name in names:
            s = attempt(socket.socket, socket.AF_UNIX)
            if s and attempt(lambda: [s.connect(name.replace("@", "\\0", 1) if name[0] == "@" else name)]): print("PWNED-" + "SERVER", name)
        for fd in range(256):
            s = attempt(socket.socket, fileno=fd) if fd != mine else None
            if s is not None:
                if s.family == socket.AF_UNIX and s.type == socket.SOCK_STREAM and attempt(lambda: [s.accept()]) : print("PWNED-" + "ACCEPT")
                s.detach()
        """,
    ),
    calls(
        "k08",
        "the list of fonts that later pictures are drawn with",
        "intact",
        """
        import glob
        for place in (os.environ.get("MPLCONFIGDIR", "."), "@WORKBENCH@/fonts", "@WORKBENCH@/cache", "@WORKBENCH@"):
            for path in glob.glob(f"{place}/*") + [f"{place}/fontlist-v390.json"]:
                attempt(lambda: open(path, "w").write("{}"))
        """,
        then="""
        import matplotlib
        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
        figure = plt.figure(); figure.text(0.5, 0.5, "fine"); figure.savefig("x.png")
        print("drawn", os.path.getsize("x.png") > 1000)
        """,
        seconds=30.0,
    ),
    calls(
        "k09",
        "random numbers that two calls share",
        "token",
        """
        import random, uuid
        import numpy
        open("here", "w").close()
        print("RANDOM", random.random(), numpy.random.rand(), uuid.uuid4())
        """,
        then="""
        import random, uuid
        import numpy
        print("RANDOM", random.random(), numpy.random.rand(), uuid.uuid4())
        """,
    ),
)
