"""One call inside the worker: parameters in, `run` called, its result or failure out. Standard library only."""

from __future__ import annotations

import errno
import importlib
import linecache
import os
import sys
import types
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench import toolkit
from workbench.core.errors import Refused
from workbench.sandbox import wire
from workbench.sandbox.line import Line
from workbench.sandbox.values import NotPlain, clean, plain

MAX_LINE = 4000
"""Characters of a reported line."""
MAX_AFTER = 86_400.0
"""Seconds that a tool may ask to be left alone."""


class Invocation:
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
        toolkit._Host.key = str(self._frame["key"])
        toolkit._Host.patience = float(self._frame["patience"])

    def _run(self) -> Any:
        source: str = self._frame["source"]
        module = types.ModuleType("workbench_tool", self._file)
        module.__file__ = self._file
        sys.modules[module.__name__] = module  # dataclasses look up the module of a class
        code = compile(bytes.fromhex(source), self._file, "exec", dont_inherit=True)
        self._show_lines(bytes.fromhex(source))
        exec(code, module.__dict__)  # noqa: S102 - running what it was sent is what a worker is for
        if self._frame["entry"] == "check":
            return module.check(self._frame["key"])
        params = {name: self._value(value) for name, value in self._frame["params"].items()}
        try:
            return module.run(**params)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:  # `run` was never entered
                raise toolkit.Failed(f"Wrong parameters: {error}.") from None
            raise

    def _show_lines(self, source: bytes) -> None:
        """Let tracebacks quote the source, which lies in no file here."""
        with suppress(Exception):
            lines = importlib.import_module("importlib.util").decode_source(source).splitlines(keepends=True)
            linecache.cache[self._file] = (len(source), None, lines, self._file)

    def _value(self, value: Any) -> Any:
        """A parameter as the tool gets it: tables as DataFrames, pictures and sounds as those of the toolkit."""
        if isinstance(value, dict):
            if wire.FILE in value:
                return self._load(value)
            return {key: self._value(item) for key, item in value.items()}
        return [self._value(item) for item in value] if isinstance(value, list) else value

    def _load(self, handle: Mapping[str, Any]) -> Any:
        _, fd = self._line.ask({"kind": "input", "file": handle[wire.FILE]})
        if handle["as"] != "frame":
            made = toolkit.Image if handle["as"] == "image" else toolkit.Audio
            with os.fdopen(fd, "rb") as file:
                return made(file.read(), title=handle["title"], alt=handle["alt"])
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
        """What stands for a table, picture or sound, written to a file of the host's; None for anything else."""
        if isinstance(value, toolkit.Image):
            if not isinstance(value.png, bytes):
                raise NotPlain(f"toolkit.Image holds a {type(value.png).__name__} instead of the bytes of a PNG.")
            return self._written("image", value.png, value)
        if isinstance(value, toolkit.Audio):
            if not isinstance(value.data, bytes):
                raise NotPlain(f"toolkit.Audio holds a {type(value.data).__name__} instead of the bytes of a sound.")
            return self._written("sound", value.data, value)
        table = value if isinstance(value, toolkit.Table) else toolkit.Table(value)
        pandas = sys.modules.get("pandas")
        if pandas is None or not isinstance(table.frame, pandas.DataFrame | pandas.Series):
            if not isinstance(value, toolkit.Table) and type(value).__module__.partition(".")[0] != "pyarrow":
                return None
            table = toolkit.Table(_tables().as_frame(table.frame), table.title)
        number, fd = self._output("frame", table.title, "")
        with os.fdopen(fd, "wb") as file:
            _tables().write_table(_tables().from_pandas(table.frame), file)
        return {wire.FILE: number}

    def _written(self, kind: str, data: bytes, of: toolkit.Image | toolkit.Audio) -> dict[str, int]:
        number, fd = self._output(kind, of.title, of.alt)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        return {wire.FILE: number}

    def _output(self, kind: str, title: str, alt: str) -> tuple[int, int]:
        number, fd = self._line.ask({"kind": "output", "as": kind, "title": clean(str(title)), "alt": clean(str(alt))})
        return int(number), fd

    def _service(self, service: str, params: Mapping[str, Any]) -> Any:
        def keep(value: Any) -> Any | None:
            return self._keep(value) if isinstance(value, toolkit.Audio | toolkit.Image) else None

        value = plain(dict(params), keep, f"the parameters of {service}")
        if (size := len(wire.pack(value))) > self._limits["result"]:
            raise toolkit.Failed(
                f"{service} was given {size:,} bytes of JSON; the limit is {self._limits['result']:,}."
            )
        return self._line.ask({"kind": "call", "service": str(service), "params": value})[0]

    def _tell(self, kind: str, body: Mapping[str, Any]) -> None:
        self._line.send({"kind": kind, **{key: clean(str(text)[:MAX_LINE]) for key, text in body.items()}})

    def _failure(self, error: BaseException) -> dict[str, Any]:
        """How the tool failed, as data; the traceback only where it says more than the message."""
        if isinstance(error, toolkit.Try):
            return _said("transient", error, error.hint, after=error.after)
        if isinstance(error, toolkit.Failed | NotPlain):
            return _said("failed", error, getattr(error, "hint", ""))
        if isinstance(error, Refused):
            return _said("failed", error.message, error.hint)
        message = f"{type(error).__name__}: {_text(error)}".rstrip(": ") + self._where(error)
        hint = ""
        if isinstance(error, MemoryError):
            hint = f"A tool may use {self._limits['memory'] / (1 << 30):g} GB; work on fewer rows or columns at a time."
        elif isinstance(error, OSError) and error.errno == errno.EFBIG:
            hint = f"One file may have {self._limits['file'] >> 20:,} MB."
        elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
            hint = "Free some space on the disk that holds WORKBENCH_HOME."
        elif isinstance(error, PermissionError) and _confined():
            hint = "A tool reaches only what its PERMISSIONS and USES declare; tools/README.md says how."
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
        """The traceback from the tool's own code on."""
        step = error.__traceback__
        while step is not None and step.tb_frame.f_code.co_filename != self._file:
            step = step.tb_next
        with suppress(Exception):
            lines = importlib.import_module("traceback").format_exception(type(error), error, step)
            return clean("".join(lines))[-20_000:]
        return ""


def _confined() -> bool:
    """Whether the kernel confines this process: elsewhere everybody may see the names at the root."""
    try:
        list(Path("/").iterdir())
    except PermissionError:
        return True
    return False


def _tables() -> Any:
    """The module that moves tables, by name: it is needed only where pandas is, and the worker itself needs neither."""
    return importlib.import_module("workbench.sandbox.arrow")


def _said(kind: str, message: Any, hint: Any, after: Any = None) -> dict[str, Any]:
    after = float(after) if isinstance(after, int | float) and 0 <= after <= MAX_AFTER else None
    return {"kind": kind, "message": _text(message)[:4000], "hint": _text(hint)[:1000], "after": after}


def _text(value: Any) -> str:
    try:
        return clean(str(value))
    except Exception:  # noqa: BLE001 - an exception of the tool's may fail to name itself
        return f"<{type(value).__name__}>"
