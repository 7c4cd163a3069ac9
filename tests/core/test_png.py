"""A picture says how large it is meant to be shown, and what cannot be so is shown as it is."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.models.test_images import chunk, png
from workbench.core.artifacts import PNG, Artifact
from workbench.core.png import SIGNATURE, bare, dense, saying, shown_width, words
from workbench.render import picture_html
from workbench.sandbox.vetting import check_png


def pixels(data: bytes) -> bytes:
    with Image.open(BytesIO(data)) as image:
        return image.tobytes()


@given(st.integers(2, 64), st.integers(2, 4))
def test_a_picture_with_finer_pixels_is_shown_smaller_and_stays_the_same_picture(side: int, times: int) -> None:
    made = dense(saying(png(side=side), {"prompt": "x"}), times)
    assert shown_width(made) == pytest.approx(side / times, abs=0.51)
    assert shown_width(bare(made)) == shown_width(made)
    assert (pixels(made), words(made)) == (pixels(png(side=side)), {"prompt": "x"})
    assert dense(made, times) == made
    check_png(made)


def test_pictures_of_any_other_fineness_are_shown_as_they_are() -> None:
    assert shown_width(png()) is None
    for dots in (72, 110, 120):
        out = BytesIO()
        Image.new("RGB", (40, 40)).save(out, "PNG", dpi=(dots, dots))
        assert shown_width(out.getvalue()) is None
    with pytest.raises(ValueError, match="not a PNG"):
        shown_width(b"GIF89a")


@given(st.binary(max_size=12), st.binary(max_size=16))
def test_a_strangers_sizes_give_a_width_or_none(said: bytes, head: bytes) -> None:
    data = SIGNATURE + chunk(b"IHDR", head) + chunk(b"pHYs", said) + chunk(b"IEND", b"")
    assert (shown_width(data) or 1) >= 1


def test_the_page_shows_a_picture_as_wide_as_it_says() -> None:
    made = dense(png(side=8), 2)
    artifact = Artifact(path="p.png", mime=PNG, bytes=len(made), sha256="", alt="a & b")
    assert picture_html(artifact, lambda _: made).startswith('<p><img alt="a &amp; b" width="4" src="data:image/png')
    assert " width=" not in picture_html(artifact, lambda _: png(side=8))
