import io
import struct
import zlib

import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.sandbox.vetting import check_png, refuse_compression


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int = 1, height: int = 1, more: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


def test_whole_pictures_pass():
    check_png(png())
    check_png(png(more=chunk(b"tEXt", b"Title\0x")))
    mpl.use("Agg")
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    Figure().savefig(buffer)
    check_png(buffer.getvalue())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "start"),
        (b"<svg/>", "start"),
        (b"GIF89a", "start"),
        (png()[:-1], "cut short"),
        (png()[:-12], "cut short"),
        (png()[:20], "cut short"),
        (png() + b"<script>", "follows"),
        (png()[:20] + b"\xff" + png()[21:], "checksum"),
        (png(100_000, 1), "pixels"),
        (png(20_000, 20_000), "pixels"),
        (png(0, 1), "pixels"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", b"") + chunk(b"IEND", b""), "header"),
        (
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)) + chunk(b"IEND", b""),
            "cut",
        ),
    ],
)
def test_anything_else_is_refused_in_words(data: bytes, words: str):
    with pytest.raises(ValueError, match=words):
        check_png(data)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_refused_with_a_value_error(data: bytes, signed: bool):
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        check_png((b"\x89PNG\r\n\x1a\n" if signed else b"") + data)


@given(st.binary(max_size=200))
def test_any_bytes_are_no_arrow_file(data: bytes):
    with pytest.raises(ValueError, match="Arrow"):
        refuse_compression(data)
