"""The process that runs one tool call and ends. Standard library only; started bare, it never sees the host's memory.

    supervisor (sandbox/supervisor.py)
    └── worker: main thread runs the tool · one thread reads the channel

It reads one `call` frame, lowers its own limits, compiles the source it was sent, calls `run`, and answers with one
`done` frame. What the tool reaches for through `toolkit` goes over the channel. It says only how the tool itself ended
(value, failed, worth another try); deadlines, signals and floods are seen by the host. When the channel ends, so does
the process, whatever the tool is doing.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import linecache
import os
import queue
import socket
import sys
import threading
import types
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from workbench import toolkit
from workbench.sandbox import supervisor, wire
from workbench.sandbox.values import NotPlain, clean, plain

MAX_CALL = 80 << 20
"""Bytes of one frame from the host, which keeps to smaller limits of its own."""


def main(fd: int) -> NoReturn:
    """Serve one call on the channel `fd` in a supervised fork of this process."""
    channel = socket.socket(fileno=fd)
    supervisor.supervise(channel)
    serve(channel)


def serve(channel: socket.socket) -> NoReturn:
    """Serve one call on the channel and end the process. A fork server calls this in a fresh fork."""
    line = Line(channel)
    call = line.first()
    threading.Thread(target=line.listen, name="workbench-channel", daemon=True).start()
    done = Call(line, call).done()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    with suppress(OSError):
        line.send(done)
    os._exit(0)


class Line:
    """The worker's end of the channel. `ask` may be called from any thread of the tool."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._inbox = wire.Inbox(MAX_CALL)
        self._lock = threading.Lock()
        self._ids = itertools.count()
        self._waiting: dict[int, queue.SimpleQueue[tuple[dict[str, Any], int]]] = {}

    def first(self) -> dict[str, Any]:
        """The call."""
        while True:
            for message in self._read():
                return message

    def _read(self) -> list[dict[str, Any]]:
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        data, fds, _, _ = socket.recv_fds(self._channel, 1 << 16, 16, flags)
        if not data:
            self._end()
        self._inbox.fds.extend(fds)
        return list(self._inbox.feed(data))

    def listen(self) -> None:
        """Hand each answer to whoever waits for it, for as long as the host is there."""
        try:
            while True:
                for message in self._read():
                    fd = self._inbox.fds.popleft() if message.get("fd") else -1
                    waiting = self._waiting.pop(message.get("id", -1), None)
                    if waiting is not None:
                        waiting.put((message, fd))
        finally:
            self._end()

    def _end(self) -> NoReturn:
        if sys.platform != "linux":  # there, the supervisor sees the same end and takes the children along
            with suppress(OSError):
                os.killpg(0, 9)
        os._exit(1)

    def send(self, message: Mapping[str, Any]) -> None:
        self._send(wire.pack(message))

    def _send(self, data: bytes) -> None:
        with self._lock:
            self._channel.sendall(data)

    def ask(self, message: Mapping[str, Any]) -> tuple[Any, int]:
        """The host's answer: its value, and a descriptor where there is one. Raises what the host said."""
        number = next(self._ids)
        waiting = self._waiting[number] = queue.SimpleQueue()
        self.send({**message, "id": number})
        answer, fd = waiting.get()
        if (error := answer.get("error")) is not None:
            if error.get("kind") == "transient":
                raise toolkit.Try(error["message"], after=error.get("after"), hint=error.get("hint", ""))
            raise toolkit.Failed(error["message"], hint=error.get("hint", ""))
        return answer.get("value"), fd


class Call:
    """One call of one tool, from its frame to its `done`."""

    def __init__(self, line: Line, frame: Mapping[str, Any]) -> None:
        self._line = line
        self._frame = frame
        self._limits: Mapping[str, int] = frame["limits"]
        self._file = f"{frame['tool']}.py"
        self._context: list[dict[str, Any]] | None = None

    def done(self) -> dict[str, Any]:
        """The tool's result or failure. Never raises."""
        try:
            restrict(self._limits)
            self._prepare()
            done = {"kind": "done", "value": plain(self._run(), self._keep)}
            if (size := len(wire.pack(done))) > self._limits["result"]:
                raise toolkit.Failed(
                    f"The result is {size:,} bytes of JSON; the limit is {self._limits['result']:,}.",
                    hint="Return rows as a DataFrame: tables travel as files.",
                )
            return done
        except BaseException as error:  # noqa: BLE001 - also SystemExit: a tool ends its call, never says how the worker ended
            return {"kind": "done", "error": self._failure(error)}

    def _prepare(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]  # text files
        toolkit._Host.call = self._service
        toolkit._Host.tell = self._tell
        toolkit._Host.context = self._earlier
        toolkit._Host.project = Path(self._frame["project"])

    def _run(self) -> Any:
        source: str = self._frame["source"]
        module = types.ModuleType("workbench_tool", self._file)
        module.__file__ = self._file
        sys.modules[module.__name__] = module  # dataclasses look up the module of a class
        code = compile(bytes.fromhex(source), self._file, "exec", dont_inherit=True)
        self._show_lines(bytes.fromhex(source))
        exec(code, module.__dict__)  # noqa: S102 - running what it was sent is what a worker is for
        params = {name: self._value(value) for name, value in self._frame["params"].items()}
        try:
            inspect.signature(module.run).bind(**params)
        except TypeError as error:
            raise toolkit.Failed(f"Wrong parameters: {error}.") from None
        return module.run(**params)

    def _show_lines(self, source: bytes) -> None:
        """Let tracebacks quote the source, which lies in no file here."""
        with suppress(Exception):
            lines = importlib.import_module("importlib.util").decode_source(source).splitlines(keepends=True)
            linecache.cache[self._file] = (len(source), None, lines, self._file)

    def _value(self, value: Any) -> Any:
        """A parameter as the tool gets it: tables as DataFrames, pictures as `toolkit.Image`."""
        if isinstance(value, dict):
            if wire.FILE in value:
                return self._load(value)
            return {key: self._value(item) for key, item in value.items()}
        return [self._value(item) for item in value] if isinstance(value, list) else value

    def _load(self, handle: Mapping[str, Any]) -> Any:
        _, fd = self._line.ask({"kind": "input", "file": handle[wire.FILE]})
        if handle["as"] == "image":
            with os.fdopen(fd, "rb") as file:
                return toolkit.Image(file.read(), title=handle["title"], alt=handle["alt"])
        import mmap

        try:
            return _tables().load_table(mmap.mmap(fd, 0, prot=mmap.PROT_READ))
        finally:
            os.close(fd)

    def _earlier(self) -> list[dict[str, Any]]:
        if self._context is None:
            self._context = [{**item, "value": self._value(item["value"])} for item in self._frame["context"]]
        return self._context

    def _keep(self, value: Any) -> Any | None:
        """What stands for a table or picture, written to a file of the host's; None for anything else."""
        if isinstance(value, toolkit.Image):
            if not isinstance(value.png, bytes):
                raise NotPlain(f"toolkit.Image holds a {type(value.png).__name__} instead of the bytes of a PNG.")
            number, fd = self._output("image", value.title, value.alt)
            with os.fdopen(fd, "wb") as file:
                file.write(value.png)
            return {wire.FILE: number}
        table = value if isinstance(value, toolkit.Table) else toolkit.Table(value)
        pandas = sys.modules.get("pandas")
        if pandas is None or not isinstance(table.frame, pandas.DataFrame | pandas.Series):
            if not isinstance(value, toolkit.Table) and type(value).__module__.partition(".")[0] != "pyarrow":
                return None
            table = toolkit.Table(_tables().as_frame(table.frame), table.title)
        number, fd = self._output("frame", table.title, "")
        with os.fdopen(fd, "wb") as file:
            _tables().write_table(table.frame, file)
        return {wire.FILE: number}

    def _output(self, kind: str, title: str, alt: str) -> tuple[int, int]:
        number, fd = self._line.ask({"kind": "output", "as": kind, "title": clean(str(title)), "alt": clean(str(alt))})
        return int(number), fd

    def _service(self, service: str, params: Mapping[str, Any]) -> Any:
        def keep(value: Any) -> None:
            return None

        value = plain(dict(params), keep, f"the parameters of {service}")
        return self._line.ask({"kind": "call", "service": str(service), "params": value})[0]

    def _tell(self, kind: str, body: Mapping[str, Any]) -> None:
        self._line.send({"kind": kind, **{key: clean(str(text)) for key, text in body.items()}})

    def _failure(self, error: BaseException) -> dict[str, Any]:
        """How the tool failed, as data; the traceback only where it says more than the message."""
        if isinstance(error, toolkit.Try):
            return _said("transient", error, error.hint, after=error.after)
        if isinstance(error, toolkit.Failed | NotPlain):
            return _said("failed", error, getattr(error, "hint", ""))
        if type(error).__name__ == "Refused" and type(error).__module__ == "workbench.core.errors":
            return _said("failed", getattr(error, "message", error), getattr(error, "hint", ""))
        message = f"{type(error).__name__}: {_text(error)}".rstrip(": ") + self._where(error)
        hint = ""
        if isinstance(error, MemoryError):
            hint = f"A tool may use {self._limits['memory'] / (1 << 30):g} GB; work on fewer rows or columns at a time."
        elif isinstance(error, OSError) and error.errno == 27:  # EFBIG: the file limit
            hint = f"One file may have {self._limits['file'] >> 20:,} MB."
        return {**_said("failed", message, hint), "trace": self._trace(error)}

    def _where(self, error: BaseException) -> str:
        number = error.lineno if isinstance(error, SyntaxError) and error.filename == self._file else None
        step = error.__traceback__
        while step is not None:
            if step.tb_frame.f_code.co_filename == self._file:
                number = step.tb_lineno
            step = step.tb_next
        return f" (line {number} of {self._file})" if number else ""

    def _trace(self, error: BaseException) -> str:
        with suppress(Exception):
            lines = importlib.import_module("traceback").format_exception(error)
            return clean("".join(lines))[-20_000:]
        return ""


def restrict(limits: Mapping[str, int]) -> None:
    """Lower this process's own limits, for good. Memory counts as private data; address space only bounds the rest."""
    import resource

    def lower(name: str, value: int) -> None:
        # Names that a system lacks, and limits that it does not let anyone set, are left as they are.
        with suppress(AttributeError, ValueError, OSError):
            which = getattr(resource, name)
            _, hard = resource.getrlimit(which)
            most = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(which, (most, most))

    lower("RLIMIT_CORE", 0)
    lower("RLIMIT_CPU", limits["cpu"])
    lower("RLIMIT_FSIZE", limits["file"])
    lower("RLIMIT_NOFILE", limits["open_files"])
    lower("RLIMIT_DATA", limits["memory"])
    lower("RLIMIT_AS", limits["memory"] + limits["reserve"])
    with suppress(OSError, ValueError, IndexError):
        # The limit counts all of the user's threads; "1/345" in loadavg are all of the machine's, so never fewer.
        running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
        lower("RLIMIT_NPROC", running + limits["processes"])


def _tables() -> Any:
    """The module that moves tables, by name: it is needed only where pandas is, and the worker itself needs neither."""
    return importlib.import_module("workbench.sandbox.arrow")


def _said(kind: str, message: Any, hint: Any, after: Any = None) -> dict[str, Any]:
    after = float(after) if isinstance(after, int | float) else None
    return {"kind": kind, "message": _text(message)[:4000], "hint": _text(hint)[:1000], "after": after}


def _text(value: Any) -> str:
    try:
        return clean(str(value))
    except Exception:  # noqa: BLE001 - an exception of the tool's may fail to name itself
        return f"<{type(value).__name__}>"
