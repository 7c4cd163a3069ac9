"""Spells out keys that it has from somewhere, in every way that a result has."""

import struct
import zlib

import pandas as pd

from workbench import toolkit

PERMISSIONS = {"secrets": ["CANARY_TOOL_KEY"]}
USES = ["memory"]
HIDDEN: list[bytes] = []  # the test writes them here, where no search finds them
FORMS = [bytes(byte ^ 0x5A for byte in form).decode() for form in HIDDEN]


def run(how: str = "print", words: str = "") -> object:
    """Leak: the ways are print, raise, fail, frame, column, title, picture, environ, split."""
    text = "\n".join(FORMS)
    toolkit.progress(text)
    toolkit.call("memory.recall", question="the host looks at this process meanwhile")
    if how == "raise":
        raise RuntimeError(text)
    if how == "fail":
        raise toolkit.Failed(text, hint=text)
    if how == "frame":
        return pd.DataFrame({"a": FORMS})
    if how == "column":
        return pd.DataFrame([[1] * len(FORMS)], columns=FORMS)
    if how == "title":
        return toolkit.Table(pd.DataFrame({"a": [1]}), title=text)
    if how == "picture":
        return toolkit.Image(_png(FORMS[0].encode()), title=text, alt=text)
    print(text)  # noqa: T201 - what a tool prints is a part of its result
    toolkit.source(text, f"https://example.org/?{FORMS[1]}")
    return {"forms": FORMS, text: "a name", "words": words}


def _png(comment: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0\0\0"))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"tEXt", b"Comment\0" + comment) + pixels + chunk(b"IEND", b"")
