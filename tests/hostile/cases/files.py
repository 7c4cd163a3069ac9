"""After the user's files: reading what is secret, changing what is there, leaving something behind."""

from functools import partial

from tests.hostile.cases.base import attack

file = partial(attack, "files")

CASES = (
    file(
        "f01",
        "openat2 with every way to resolve",
        "leak",
        """
        for resolve in (0, 1, 2, 4, 8, 16, 32):
            how = struct.pack("QQQ", 0, 0, resolve)
            fd = raw(437, -100, b"@SECRET@", how, 24)
            if fd >= 0: print(os.read(fd, 4096))
        d = attempt(os.open, "@HOME@", os.O_PATH)
        if d is not None:
            fd = raw(437, d, b".config/openai/key", struct.pack("QQQ", 0, 0, 8), 24)
            if fd >= 0: print(os.read(fd, 4096))
        """,
    ),
    file(
        "f02",
        "O_PATH, then reopened through /proc/self/fd",
        "leak",
        """
        fd = os.open("@SECRET@", os.O_PATH)
        for path in (f"/proc/self/fd/{fd}", f"/proc/{os.getpid()}/fd/{fd}", f"/proc/thread-self/fd/{fd}", f"/dev/fd/{fd}"):
            print(attempt(lambda: open(path).read()))
        """,
    ),
    file(
        "f03",
        "through the root, the folder and the descriptors of another process",
        "leak",
        """
        for pid in others():
            for path in (f"/proc/{pid}/root/@SECRET@", f"/proc/{pid}/cwd/../.config/openai/key", f"/proc/{pid}/environ"):
                print(attempt(lambda: open(path, "rb").read()))
            for fd in range(64):
                taken = attempt(os.open, f"/proc/{pid}/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK)
                if taken is not None: print(attempt(os.pread, taken, 4096, 0))
        """,
        seconds=20.0,
    ),
    file(
        "f04",
        "symbolic links in scratch to a file and to a folder",
        "leak",
        """
        os.symlink("@SECRET@", "a")
        os.symlink("@HOME@/.config", "b")
        for path in ("a", "b/openai/key"): print(attempt(lambda: open(path).read()))
        """,
    ),
    file(
        "f05",
        "folders listed, walked and entered",
        "leak",
        """
        import glob
        print(attempt(os.listdir, "@HOME@/letters"), glob.glob("@HOME@/*/*"), list(os.walk("@HOME@")))
        if attempt(os.chdir, "@HOME@/letters") is None: print(attempt(os.listdir, "."))
        """,
    ),
    file(
        "f06",
        "extended attributes read, by every call there is",
        "leak",
        """
        print(attempt(os.getxattr, "@SECRET@", "user.note"))
        print(attempt(os.getxattr, "@SECRET@", "user.note", follow_symlinks=False))
        buffer = ctypes.create_string_buffer(200)
        packed = struct.pack("QII", ctypes.addressof(buffer), 200, 0)
        if raw(464, -100, b"@SECRET@", 0, b"user.note", packed, 16) > 0: print(buffer.value)
        fd = os.open("@SECRET@", os.O_PATH)
        print(attempt(os.getxattr, f"/proc/self/fd/{fd}", "user.note"))
        """,
    ),
    file(
        "f08",
        "passwords on command lines and in environments of other programs",
        "leak",
        """
        for pid in others():
            for entry in ("cmdline", "environ", "task/{pid}/cmdline", "map_files", "maps", "comm"):
                print(attempt(lambda: open(f"/proc/{pid}/{entry.format(pid=pid)}", "rb").read()) or "", end="")
        """,
    ),
    file(
        "f09",
        "records and results of earlier runs",
        "leak",
        """
        import glob
        for place in ("@WORKBENCH@", os.path.dirname(os.path.dirname(os.path.dirname(os.getcwd()))), "../../.."):
            for path in (glob.glob(f"{place}/journal/*") + glob.glob(f"{place}/artifacts/*/*")
                         + [f"{place}/journal/1.jsonl", f"{place}/artifacts/earlier/s1-1-0123456789ab.png"]):
                print(attempt(lambda: open(path).read()))
        """,
    ),
    file(
        "f10",
        "shared memory of the user's other programs",
        "leak",
        """
        import glob
        for path in glob.glob("/dev/shm/*") + ["/dev/shm/psm_shared"]: print(attempt(lambda: open(path, "rb").read()))
        libc.shmat.restype = ctypes.c_void_p
        for number in range(64):
            at = libc.shmat(number, None, 0o10000)
            if at not in (None, ctypes.c_void_p(-1).value): print(ctypes.string_at(at, 200))
        """,
    ),
    file(
        "f11",
        "a namespace of its own, with the secret mounted into scratch",
        "leak",
        """
        uid = os.getuid()
        if libc.unshare(0x10000000 | 0x00020000) == 0:
            open("/proc/self/uid_map", "w").write(f"0 {uid} 1")
            open("m", "w").close()
            print(libc.mount(b"@SECRET@", b"m", b"", 4096, None), open("m").read())
            print(open("@SECRET@").read())
        """,
    ),
    file(
        "f12",
        "chroot and the way back by a descriptor",
        "token",
        """
        d = attempt(os.open, "/", os.O_RDONLY)
        if libc.unshare(0x10000000) == 0: print("PWNED-" + "USERNS")
        os.mkdir("jail")
        if libc.chroot(b"jail") == 0: print("PWNED-" + "CHROOT")
        """,
    ),
    file(
        "f13",
        "a program that reads it: by shell, exec, spawn, vfork and from memory",
        "leak",
        """
        import subprocess
        os.system("cat @SECRET@ >&2; env >&2")
        print(attempt(subprocess.run, ["cat", "@SECRET@"], capture_output=True))
        attempt(os.posix_spawn, "/bin/cat", ["cat", "@SECRET@"], {})
        fd = raw(319, b"x", 0)
        if fd >= 0:
            with open(fd, "wb", closefd=False) as program: program.write(open("/bin/cat", "rb").read())
            argv = (ctypes.c_char_p * 3)(b"cat", b"@SECRET@", None)
            raw(322, fd, b"", argv, None, 0x1000)
        attempt(os.execv, "/bin/cat", ["cat", "@SECRET@"])
        """,
    ),
    file(
        "f14",
        "the loader asked to run it as a program",
        "leak",
        """
        import glob
        for loader in glob.glob("/lib64/ld-linux*") + glob.glob("/lib/ld-linux*"):
            attempt(os.execv, loader, [loader, "/bin/cat", "@SECRET@"])
        """,
    ),
    file(
        "f15",
        "what pandas, DuckDB, SQLite, numpy, Arrow and zip files open by themselves",
        "leak",
        """
        import sqlite3, zipfile
        import duckdb, numpy, pyarrow.csv, pyarrow.fs
        def sqlite():
            c = sqlite3.connect("here.db"); c.execute("attach '@SECRET@' as s"); return c.execute("select * from s.sqlite_master")
        def zipped():
            with zipfile.ZipFile("z", "w") as z: z.write("@SECRET@", "k")
            return zipfile.ZipFile("z").read("k")
        def run(function):
            try: print(function())
            except Exception as error: print(type(error).__name__)
        for function in (
            sqlite, zipped, lambda: numpy.fromfile("@SECRET@", "u1").tobytes(), lambda: bytes(numpy.memmap("@SECRET@", "u1", "r")),
            lambda: pyarrow.fs.LocalFileSystem().open_input_file("@SECRET@").read(), lambda: pyarrow.csv.read_csv("@SECRET@"),
            lambda: duckdb.sql("select * from read_blob('@HOME@/**')"), lambda: duckdb.sql("from glob('@HOME@/**')"),
        ): run(function)
        """,
        seconds=25.0,
    ),
    file(
        "f16",
        "rights of a file changed, by every call there is",
        "intact",
        """
        for path in ("@NOTEBOOK@", "@DATA@"):
            attempt(os.chmod, path, 0o777)
            raw(90, path.encode(), 0o777); raw(268, -100, path.encode(), 0o777, 0); raw(452, -100, path.encode(), 0o777, 0)
            fd = attempt(os.open, path, os.O_RDONLY)
            if fd is not None: raw(91, fd, 0o777)
            fd = attempt(os.open, path, os.O_PATH)
            if fd is not None: raw(452, fd, b"", 0o777, 0x1000); attempt(os.chmod, f"/proc/self/fd/{fd}", 0o777)
        """,
    ),
    file(
        "f17",
        "times of a file changed, by every call there is",
        "intact",
        """
        for path in (b"@NOTEBOOK@", b"@DATA@"):
            attempt(os.utime, path, (1, 1))
            raw(132, path, struct.pack("qq", 1, 1)); raw(235, path, struct.pack("qqqq", 1, 0, 1, 0))
            raw(261, -100, path, struct.pack("qqqq", 1, 0, 1, 0)); raw(280, -100, path, struct.pack("qqqq", 1, 0, 1, 0), 0)
            fd = attempt(os.open, path, os.O_RDONLY)
            if fd is not None: raw(280, fd, None, struct.pack("qqqq", 1, 0, 1, 0), 0)
        """,
    ),
    file(
        "f18",
        "extended attributes set and removed, by every call there is",
        "intact",
        """
        for path in (b"@NOTEBOOK@", b"@DATA@", b"@SECRET@"):
            attempt(os.setxattr, path, "user.x", b"1"); attempt(os.removexattr, path, "user.note")
            raw(188, path, b"user.y", b"1", 1, 0); raw(189, path, b"user.z", b"1", 1, 0)
            value = ctypes.create_string_buffer(b"1")
            raw(463, -100, path, 0, b"user.w", struct.pack("QII", ctypes.addressof(value), 1, 0), 16)
            raw(466, -100, path, 0, b"user.note")
            fd = attempt(os.open, path, os.O_RDONLY)
            if fd is not None: raw(190, fd, b"user.v", b"1", 1, 0)
        """,
    ),
    file(
        "f19",
        "flags of a file that may only be read (chattr)",
        "intact",
        """
        import array, fcntl
        for path in ("@DATA@", "@NOTEBOOK@"):
            fd = attempt(os.open, path, os.O_RDONLY)
            if fd is None: continue
            attempt(fcntl.ioctl, fd, 0x40086602, array.array("l", [0x40]))
            attempt(fcntl.ioctl, fd, 0x40046602, array.array("i", [0x40]))
            attempt(fcntl.ioctl, fd, 0x401C5820, struct.pack("IIIII8x", 0x80, 0, 0, 0, 0))
        for path in (b"@DATA@", b"@NOTEBOOK@"):
            raw(469, -100, path, struct.pack("QIIII", 0x80, 0, 0, 0, 0), 24, 0)
        """,
    ),
    file(
        "f20",
        "a file cut short by opening it",
        "intact",
        """
        for path in ("@NOTEBOOK@", "@DATA@"):
            for how in (os.O_RDONLY | os.O_TRUNC, os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_TRUNC): attempt(os.open, path, how)
            raw(85, path.encode(), 0o600); raw(76, path.encode(), 0)
        """,
    ),
    file(
        "f21",
        "written by every call that writes",
        "intact",
        """
        import mmap
        for path in ("@NOTEBOOK@", "@DATA@"):
            for how in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND):
                fd = attempt(os.open, path, how)
                if fd is None: continue
                attempt(os.pwrite, fd, b"x", 0); attempt(os.writev, fd, [b"x"]); attempt(os.posix_fallocate, fd, 0, 9000)
                source = os.open("s", os.O_RDWR | os.O_CREAT); os.write(source, b"xxxx")
                attempt(os.copy_file_range, source, fd, 4, 0, 0); attempt(os.sendfile, fd, source, 0, 4)
            fd = attempt(os.open, path, os.O_RDONLY)
            if fd is not None:
                raw(9, 0, 4096, 3, 1, fd, 0)
                at = libc.mmap
                at.restype = ctypes.c_void_p
                place = at(None, 4096, 1, 1, fd, 0)
                if place and libc.mprotect(ctypes.c_void_p(place), 4096, 3) == 0: ctypes.memset(place, 88, 4)
        """,
    ),
    file(
        "f22",
        "renamed, exchanged, linked and moved over",
        "intact",
        """
        open("mine", "w").write("x")
        for path in ("@NOTEBOOK@", "@DATA@"):
            raw(316, -100, b"mine", -100, path.encode(), 2)
            attempt(os.rename, path, path + ".old"); attempt(os.replace, "mine", path); attempt(os.rename, path, "taken")
            attempt(os.link, "mine", path + ".link"); attempt(os.link, path, "hard"); attempt(os.unlink, path)
        attempt(os.rename, "@PROJECT@", "@HOME@/gone"); attempt(os.rmdir, "@HOME@/letters")
        """,
    ),
    file(
        "f23",
        "new entries of every kind",
        "intact",
        """
        import tempfile
        attempt(os.mkdir, "@HOME@/new"); attempt(os.mkfifo, "@HOME@/pipe"); attempt(os.symlink, "/", "@HOME@/root")
        attempt(os.mknod, "@HOME@/node", 0o100644); attempt(lambda: open("@HOME@/plain", "w"))
        server = attempt(socket.socket, socket.AF_UNIX)
        if server: attempt(server.bind, "@HOME@/sock")
        fd = attempt(os.open, "@HOME@", os.O_TMPFILE | os.O_RDWR)
        if fd is not None: attempt(os.link, f"/proc/self/fd/{fd}", "@HOME@/unnamed", follow_symlinks=True)
        for place in ("@HOME@", "@PROJECT@", "@LIB@", "/tmp", "/var/tmp", "/dev/shm"): attempt(tempfile.mkstemp, dir=place)
        """,
    ),
    file(
        "f24",
        "where programs look when they start",
        "intact",
        """
        import site
        def plant(path, text="import os"):
            attempt(os.makedirs, os.path.dirname(path), exist_ok=True)
            attempt(lambda: open(path, "a").write(text))
        for name in (".bashrc", ".profile", ".ssh/authorized_keys", ".config/autostart/x.desktop", ".jupyter/jupyter_server_config.py",
                     ".config/matplotlib/matplotlibrc", ".config/pip/pip.conf", ".local/lib/python3/site-packages/evil.pth",
                     ".config/workbench/trust.json", ".gitconfig", ".local/share/jupyter/kernels/x/kernel.json"):
            plant("@HOME@/" + name)
        plant(site.getusersitepackages() + "/usercustomize.py")
        for place in sys.path: plant(os.path.join(place, "evil.pth")); plant(os.path.join(place, "sitecustomize.py"))
        plant("@PROJECT@/tools/evil.py"); plant("@PROJECT@/workbench.toml"); plant("@WORKBENCH@/journal/2.jsonl")
        """,
    ),
    file(
        "f25",
        "a module of the user's and its compiled copy",
        "intact",
        """
        import py_compile
        import usermod
        print("imported", usermod.VALUE)
        attempt(lambda: open("@LIB@/usermod.py", "a").write("x = 1"))
        try: py_compile.compile("@LIB@/usermod.py")
        except Exception as error: print(error)
        """,
    ),
    file(
        "f26",
        "a result of an earlier run and the record of it",
        "intact",
        """
        for path in ("@WORKBENCH@/artifacts/earlier/s1-1-0123456789ab.png", "@WORKBENCH@/journal/1.jsonl"):
            attempt(lambda: open(path, "w").write("x")); attempt(os.unlink, path); attempt(os.chmod, path, 0)
        attempt(lambda: open("../../../journal/9.jsonl", "w")); attempt(lambda: open("../../../artifacts/earlier/new.png", "w"))
        """,
    ),
    file(
        "f27",
        "told of everything the user opens (inotify, fanotify, dnotify)",
        "token",
        """
        import fcntl
        fd = raw(294, 0)
        if fd >= 0 and (raw(254, fd, b"@HOME@/letters", 0xFFF) >= 0 or raw(254, fd, b"@NOTEBOOK@", 0xFFF) >= 0):
            print("PWNED-" + "INOTIFY")
        fd = raw(300, 0x200, 0)
        if fd >= 0 and raw(301, fd, 1, 0x20, -100, b"@HOME@/letters") >= 0: print("PWNED-" + "FANOTIFY")
        fd = attempt(os.open, "@HOME@/letters", os.O_RDONLY)
        if fd is not None and attempt(fcntl.fcntl, fd, 1026, 1) is not None: print("PWNED-" + "DNOTIFY")
        """,
    ),
    file(
        "f28",
        "archives that unpack upwards",
        "intact",
        """
        import io, shutil, tarfile, zipfile
        up = "../" * 12 + "@HOME@/unpacked".lstrip("/")
        with tarfile.open("t.tar", "w") as tar:
            entry = tarfile.TarInfo(up); entry.size = 1; tar.addfile(entry, io.BytesIO(b"x"))
        try: tarfile.open("t.tar").extractall("out")
        except Exception as error: print(type(error).__name__)
        attempt(shutil.copy, "t.tar", "@HOME@/copy"); attempt(shutil.move, "t.tar", "@HOME@/moved")
        """,
    ),
    file(
        "f29",
        "hidden files and links out, in a folder that may be read",
        "leak",
        """
        for name in (".env", "sub/.git/config", "out", "away/openai/key", "sub/../.env", "./.env"):
            print(attempt(lambda: open("@PROJECT@/docs/" + name).read()))
        print(open("@PROJECT@/docs/sub/plain.txt").read())
        d = attempt(os.open, "@PROJECT@/docs", os.O_RDONLY)
        if d is not None:
            fd = attempt(os.open, ".env", os.O_RDONLY, dir_fd=d)
            if fd is not None: print(os.read(fd, 100))
        """,
        reads=("docs",),
        bare=False,
    ),
    file(
        "f30",
        "from a folder that may be written to one that may not",
        "intact",
        """
        folder = "@PROJECT@/results"
        open(folder + "/fine.txt", "w").write("fine")
        for target in ("@DATA@", "@NOTEBOOK@", "@SECRET@", "@PROJECT@", "@HOME@"):
            attempt(os.link, target, folder + "/hard"); attempt(os.symlink, target, folder + "/soft")
            for path in (folder + "/hard", folder + "/soft", folder + "/soft/new"): attempt(lambda: open(path, "a").write("x"))
            attempt(os.rename, target, folder + "/moved"); attempt(os.rename, folder + "/fine.txt", target)
            raw(316, -100, (folder + "/fine.txt").encode(), -100, target.encode(), 2)
            attempt(os.unlink, folder + "/soft")
        attempt(os.rename, folder, "@PROJECT@/tools"); attempt(os.rmdir, folder)
        """,
        writes=("results",),
        bare=False,
    ),
    file(
        "f31",
        "a lease on a file that others want to write",
        "token",
        """
        import fcntl
        for kind in (0, 1, 2):
            fd = attempt(os.open, "@DATA@", os.O_RDONLY)
            if fd is not None and attempt(fcntl.fcntl, fd, 1024, kind) is not None and kind != 2: print("PWNED-" + "LEASE")
        """,
    ),
    file(
        "f32",
        "whom the user talks to, by the lists of sockets",
        "token",
        """
        for name in ("tcp", "tcp6", "udp", "unix"):
            for place in ("/proc/net", "/proc/self/net", f"/proc/{os.getpid()}/net", "/proc/thread-self/net"):
                text = attempt(lambda: open(f"{place}/{name}").read())
                if text and ("agent.sock" in text or f"{@TCP@:04X}" in text): print("PWNED-" + name)
        """,
    ),
    file(
        "f33",
        "what lies beside the script that the user runs",
        "leak",
        """
        for name in ("diary.txt", "bank/statement.csv"): print(attempt(lambda: open("@DOCUMENTS@/" + name).read()))
        """,
    ),
)

OPEN = (
    file(
        "f07",
        "the target of a symbolic link",
        "leak",
        """
        print(attempt(os.readlink, "@HOME@/link"))
        d = attempt(os.open, "@HOME@", os.O_PATH)
        if d is not None: print(attempt(os.readlink, "link", dir_fd=d))
        """,
    ),
    file(
        "f08o",
        "names that are guessed, and with them sizes and dates",
        "token",
        """
        if os.stat("@SECRET@").st_size > 0: print("PWNED-" + "SIZE")
        """,
    ),
)
"""What no part of the confinement closes, and `sandbox.confinement` and SECURITY.md say so."""
