"""The one line to the host: frames that lie, files that are not what they say, answers that nobody reads."""

from functools import partial

from tests.hostile.cases.base import Head, attack

frames = partial(attack, "channel", bare=False)

CHANNEL = Head("""
import json
from workbench import toolkit
line = toolkit._Host.call.__self__._line
def pack(message):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack(">I", len(body)) + body
def send(message): line._channel.sendall(pack(message))
""")

CASES = (
    frames(
        "c01",
        "a result larger than a result may be, packed by hand",
        "outcap",
        CHANNEL
        + """
        send({"kind": "done", "value": "A" * (15 << 20)})
        os._exit(0)
        """,
    ),
    frames(
        "c02",
        "five million empty lists",
        "host",
        CHANNEL
        + """
        send(b'{"kind":"done","value":[' + b"[]," * 5_000_000 + b"[]]}")
        os._exit(0)
        """,
    ),
    frames(
        "c03",
        "a number with millions of digits, and keys without end",
        "host",
        CHANNEL
        + """
        send(b'{"kind":"progress","text":' + b"9" * 4_000_000 + b"}")
        send(b'{"kind":"done","value":{' + b",".join(b'"%d":0' % n for n in range(1_000_000)) + b"}}")
        os._exit(0)
        """,
        seconds=20.0,
    ),
    frames(
        "c04",
        "asks and never reads the answers",
        "time",
        CHANNEL
        + """
        while True: send({"kind": "call", "id": 1, "service": "x" * 200, "params": {}})
        """,
        seconds=2.0,
    ),
    frames(
        "c05",
        "a frame that comes byte by byte and never ends",
        "time",
        CHANNEL
        + """
        line._channel.sendall(struct.pack(">I", 1 << 20))
        while True: line._channel.sendall(b"[") ; time.sleep(0.001)
        """,
        seconds=2.0,
    ),
    frames(
        "c06",
        "descriptors sent to the host",
        "host",
        CHANNEL
        + """
        for n in range(200):
            fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(8)]
            attempt(socket.send_fds, line._channel, [pack({"kind": "progress", "text": "x"})], fds)
            for fd in fds: os.close(fd)
        """,
    ),
    frames(
        "c07",
        "its own end of the line sent through the line",
        "alive",
        CHANNEL
        + """
        attempt(socket.send_fds, line._channel, [pack({"kind": "progress", "text": "x"})], [line._channel.fileno()] * 50)
        line._channel.close()
        os._exit(0)
        """,
    ),
    frames(
        "c08",
        "files that the call does not have, and numbers that are none",
        "leak",
        CHANNEL
        + """
        for number in (0, 1, -1, True, None, "0", 10**30, 1.5, [0], {"path": "@SECRET@"}, "@SECRET@", "../../journal/1.jsonl"):
            try:
                value, fd = line.ask({"kind": "input", "file": number})
                print(os.read(fd, 4096))
            except Exception as error: print(type(error).__name__)
        """,
    ),
    frames(
        "c09",
        "an artifact that it never made",
        "leak",
        CHANNEL
        + """
        send({"kind": "done", "value": {"$artifact": {"path": "../journal/1.jsonl", "mime": "image/png", "bytes": 1, "sha256": "0"}}})
        os._exit(0)
        """,
    ),
    frames(
        "c10",
        "a result that was read, checked, and written again",
        "intact",
        CHANNEL
        + """
        import zlib, threading
        def chunk(kind, body): return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        png = (b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
               + chunk(b"IDAT", zlib.compress(b"\\0\\0")) + chunk(b"IEND", b""))
        number, fd = line.ask({"kind": "output", "as": "image", "title": "", "alt": ""})
        os.write(fd, png)
        def again():
            while True: os.pwrite(fd, b"<svg onload=x>", 0); os.pwrite(fd, png[:14], 0)
        for _ in range(4): threading.Thread(target=again, daemon=True).start()
        send({"kind": "done", "value": {"$artifact": number}})
        time.sleep(30)
        """,
        seconds=10.0,
    ),
    frames(
        "c11",
        "a picture of a hundred thousand by a hundred thousand",
        "host",
        CHANNEL
        + """
        import zlib
        def chunk(kind, body): return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        RESULT = toolkit.Image(b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 1, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(bytes(1 << 20))) + chunk(b"IEND", b""))
        """,
    ),
    frames(
        "c12",
        "tables that unpack to more than there is",
        "host",
        CHANNEL
        + """
        import pyarrow as pa
        def give(table, **options):
            number, fd = line.ask({"kind": "output", "as": "frame", "title": "", "alt": ""})
            with os.fdopen(fd, "wb") as file:
                with pa.ipc.new_file(file, table.schema, **options) as writer: writer.write_table(table)
            return {"$artifact": number}
        packed = give(pa.table({"x": pa.array([b"\\0" * (64 << 20)] * 5)}), options=pa.ipc.IpcWriteOptions(compression="zstd"))
        nothing = give(pa.table({"x": pa.nulls(1 << 28)}))
        send({"kind": "done", "value": [packed, nothing]})
        os._exit(0)
        """,
        seconds=25.0,
    ),
    frames(
        "c13",
        "garbage on every descriptor that is a socket",
        "alive",
        """
        for fd in range(256):
            s = attempt(socket.socket, fileno=fd)
            if s is not None:
                for data in (struct.pack(">I", 2**32 - 1), b"{}", bytes(65536), struct.pack("<Q", 8) + b"\\xff" * 8):
                    attempt(s.sendmsg, [data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", 1))], socket.MSG_DONTWAIT)
                s.detach()
        time.sleep(0.5)
        """,
        seconds=5.0,
    ),
    frames(
        "c14",
        "the status forged: a failure, another try in a million years, a lie about the level",
        "alive",
        CHANNEL
        + """
        send({"kind": "ready"}); send({"kind": "ready", "level": "namespace"})
        send({"kind": "done", "error": {"kind": "transient", "after": 1e300, "message": ["x"], "hint": {"a": 1}}, "isolation": "none"})
        os._exit(0)
        """,
    ),
    frames(
        "c15",
        "host functions that it did not declare",
        "alive",
        CHANNEL
        + """
        done = []
        for name in ("door", "memory.recall", "http", "model.complete", "__class__", "", "a" * 100_000):
            try: done.append(line.ask({"kind": "call", "service": name, "params": {}}))
            except Exception as error: pass
        if done: print("PWNED-" + "SERVICE", done)
        """,
    ),
    frames(
        "c16",
        "large questions whose answers are never taken, all at once",
        "host",
        CHANNEL
        + """
        import threading
        class Deaf(dict):
            def pop(self, *a): time.sleep(1000)
        line._waiting = Deaf()
        many = b'{"kind":"call","id":1,"service":"' + b"x" * 400 + b'","params":{"x":[' + b"[]," * 2_000_000 + b"[]]}}"
        send({"kind": "call", "id": "x" * 4_000_000, "service": "x", "params": {}})
        for n in range(20): send(many)
        time.sleep(20)
        """,
        seconds=8.0,
    ),
    frames(
        "c17",
        "the host kept busy with questions while another call works",
        "alive",
        CHANNEL
        + """
        many = pack(b'{"kind":"progress","text":"x","more":[' + b"0," * 4_000_000 + b"0]}")
        until = time.time() + 3
        while time.time() < until: line._channel.sendall(many)
        """,
        beside="""
        from workbench import toolkit
        began = time.time()
        for n in range(20): toolkit.progress("still here"); time.sleep(0.05)
        print("took", time.time() - began)
        """,
        seconds=6.0,
    ),
)
