"""What the browser tests judge by: it finds flaws that are there, and no others."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.browser import access

pytestmark = [pytest.mark.browser]

PAGE = """
<body style="background: #202020; color: #eee">
<section id="flawed" style="background: rgba(255, 255, 255, 0.5); outline: 0">
  <p class="dim" style="color: #777">dim</p>
  <p class="faded" style="color: #000; opacity: 0.3">faded</p>
  <p class="modern" style="color: oklch(0.55 0.1 250)">modern</p>
  <p style="color: #000">good</p>
  <p hidden style="color: #888">hidden</p>
  <button disabled style="color: #999; background: #909090">off</button>
  <input placeholder="placeholder" style="color: #000; background: #fff; height: 30px" aria-label="a box">
  <button class="bare"></button>
  <style>
    .bare { outline: none; width: 10px; height: 40px; padding: 0; background: #fff }
    input::placeholder { color: #aaa }
  </style>
</section>
<section id="sound"><p>good</p><button style="min-height: 24px; color: #000; background: #fff">Go on</button></section>
</body>
"""


def test_what_cannot_be_read_or_reached_is_found(chrome: Browser) -> None:
    page = chrome.new_page()
    page.set_content(PAGE)
    flawed, sound = page.locator("#flawed"), page.locator("#sound")
    assert [line.partition(": ")[2].split('"')[1] for line in access.dim(flawed)] == [
        *("dim", "faded", "modern"),
        "",  # the placeholder's box
    ]
    assert [line.split(":")[0] for line in access.small(flawed)] == ["10.0 × 40.0"]
    assert access.unnamed(flawed) == ['<button class="bare"> ""']
    assert access.unseen_focus(flawed) == ['no outline: <button class="bare"> ""']
    assert (access.dim(sound), access.small(sound), access.unnamed(sound), access.unseen_focus(sound)) == (
        [],
        [],
        [],
        [],
    )
    assert access.dim(page.locator("#flawed [hidden]")) == ["there is no text to judge"]
    page.close()
