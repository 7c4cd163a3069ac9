"""Pictures from a server: what a whole answer gives, and the one line for everything else."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import zlib
from typing import Any

import pytest
from pydantic import SecretStr

from tests.models.servers import KEY, NOW, error, http, one_line, serving
from workbench.configuration import load_settings
from workbench.core.errors import Refused, TransientError, Unavailable
from workbench.core.png import SIGNATURE, saying, words
from workbench.core.retries import Retries
from workbench.models.address import Names
from workbench.models.choose import choose_images
from workbench.models.images import OpenAIImages, Wanted
from workbench.models.remote import Remote
from workbench.sandbox.vetting import check_png

ASKED = Wanted(prompt="a lighthouse at dusk")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(colour: int = 200, side: int = 8, *, said: dict[str, str] | None = None) -> bytes:
    rows = b"".join(b"\0" + bytes([colour] * side * 3) for _ in range(side))
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = SIGNATURE + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return saying(data, said) if said else data


def pictures(*datas: bytes | dict[str, Any], **more: Any) -> bytes:
    items = [d if isinstance(d, dict) else {"b64_json": base64.b64encode(d).decode()} for d in datas]
    return http(200, json.dumps({"created": 1, "data": items, **more}))


def model(base_url: str, name: str = "painter", retries: int = 0, timeout: float = 10.0) -> OpenAIImages:
    async def at_once(seconds: float) -> None:
        return None

    remote = Remote(
        name,
        base_url=base_url,
        api_key=SecretStr(KEY),
        retries=retries,
        timeout=timeout,
        model="WORKBENCH_IMAGE_MODEL",
        names=Names(base_url="WORKBENCH_IMAGE_BASE_URL", key="WORKBENCH_IMAGE_API_KEY"),
        sleep=at_once,
        uniform=lambda low, high: 0.0,
        now=lambda: NOW,
    )
    return OpenAIImages(remote)


async def paint(base_url: str, wanted: Wanted = ASKED, **how: Any):
    painter = model(base_url, **how)
    try:
        return await painter.paint(wanted, lambda text: None)
    finally:
        await painter.close()


async def test_a_picture_comes_without_the_words_that_were_in_its_file_and_what_was_asked_is_sent():
    usage = {"input_tokens": 12, "output_tokens": 4000}
    answer = pictures(png(said={"Author": "a server", "path": "/home/x"}), usage=usage)
    async with serving(answer) as server:
        wanted = Wanted(prompt="a lighthouse", size="1024x1024", count=1, seed=7)
        made = await paint(server.base_url, wanted)
    [sent] = server.asked
    assert sent.path == "/v1/images/generations"
    assert sent.body == {
        "model": "painter", "prompt": "a lighthouse", "n": 1, "size": "1024x1024", "seed": 7,
        "response_format": "b64_json",
    }  # fmt: skip
    [data] = made.pngs
    check_png(data)
    assert words(data) == {}
    assert (made.seeds, made.usage.tokens_in, made.usage.tokens_out, made.usd) == ((7,), 12, 4000, None)


async def test_a_server_that_minds_being_told_the_format_is_asked_without_it_and_remembered():
    minds = error(400, "Unknown parameter: 'response_format'.")

    def particular(asked: Any) -> bytes:
        return minds if "response_format" in asked.body else pictures(png())

    async with serving(particular) as server:

        async def asked(painter: OpenAIImages) -> int:
            return len((await painter.paint(ASKED, lambda text: None)).pngs)

        painter = model(server.base_url)
        assert await asked(painter) == 1
        assert await asked(painter) == 1
        assert ["response_format" in one.body for one in server.asked] == [True, False, False]
        await painter.close()


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (pictures({"url": "https://elsewhere.example/1.png"}), Unavailable, "the address of a picture"),
        (pictures({"b64_json": "not base64 at all!"}), Unavailable, "not base64"),
        (pictures({"b64_json": ""}), Unavailable, "empty picture"),
        (pictures({"b64_json": 7}), Unavailable, "empty picture"),
        (pictures(b"\xff\xd8\xff\xe0JFIF" + bytes(60)), Unavailable, "a JPEG, not a PNG"),
        (pictures(b"RIFF....WEBP" + bytes(60)), Unavailable, "a WebP, not a PNG"),
        (pictures(b"<svg onload=alert(1)>"), Unavailable, "an SVG, not a PNG"),
        (pictures(png()[:-20]), Unavailable, "cut short"),
        (pictures(png() + b"more"), Unavailable, "something follows its end"),
        (pictures(SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 90_000, 90_000, 8, 2, 0, 0, 0))),
         Unavailable, "90,000 by 90,000 pixels"),
        (pictures(), TransientError, "without a picture"),
        (http(200, '{"data": {}}'), Unavailable, "no list of pictures"),
        (http(200, "[1, 2]"), Unavailable, "no list of pictures"),
        (http(200, "<html>hello</html>", "text/html"), Unavailable, "a web page"),
        (http(200, '{"data": [', "application/json"), TransientError, "broken JSON"),
        (http(200, b"\x89PNG\r\n" + bytes(200), "image/png"), TransientError, "broken JSON"),
        (http(200, b'{"data": [{"b64_json": "' + b"A" * (17 << 20) + b'"}]}'), Unavailable, "without end"),
        (http(200, '{"data": []}', content_length="9000"), TransientError, "broke off"),
        (error(401, "bad key"), Unavailable, "refused the key (401)"),
        (error(404, "The model `painter` does not exist", "model_not_found"), Unavailable, "has no model painter"),
        (error(429, "slow down", retry_after="7"), TransientError, "is busy (429)"),
        (error(500, "oops"), TransientError, "failed (500)"),
        (error(400, "Your request was rejected by the safety system", "content_filter"), Refused, "content filter"),
        (error(400, f"the key {KEY} is odd"), Unavailable, "refused the request (400)"),
        (b"", TransientError, "broke off"),
    ],
)  # fmt: skip
async def test_whatever_is_no_whole_png_is_one_line_that_says_what_came(answer, kind, said):
    async with serving(answer) as server:
        with one_line(kind, said) as caught:
            await paint(server.base_url)
    if kind is Unavailable and "empty" not in said and "base64" not in said and "400" not in said:
        assert caught.value.hint


async def test_what_is_wrong_with_the_settings_names_the_setting():
    async with serving(error(401)) as server:
        with pytest.raises(Unavailable) as caught:
            await paint(server.base_url)
    assert "WORKBENCH_IMAGE_API_KEY" in caught.value.hint
    with pytest.raises(Unavailable, match="cannot be reached") as gone:
        await paint("http://127.0.0.1:9/v1")
    assert "WORKBENCH_IMAGE_BASE_URL" in gone.value.hint
    with pytest.raises(Unavailable, match="not an http address"):
        await paint("ftp://x")


async def test_a_server_that_is_slow_is_given_up_and_one_that_is_busy_is_asked_again():
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(never, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/v1"
    with pytest.raises(TransientError, match="did not answer within"):
        await paint(address, timeout=0.2)
    silent.close()

    tries = 0

    def busy_twice(asked: Any) -> bytes:
        nonlocal tries
        tries += 1
        return error(429, "slow down", retry_after="3") if tries < 3 else pictures(png())

    async with serving(busy_twice) as server:
        made = await paint(server.base_url, retries=2)
        assert (len(made.pngs), tries) == (1, 3)
        left = Retries()
        left.taken = 100
        tries = 0
        painter = model(server.base_url, retries=2)
        with pytest.raises(TransientError):
            await painter.within(left).paint(ASKED, lambda text: None)
        await painter.close()
        assert tries == 1


async def test_no_more_pictures_are_taken_than_were_asked_for_and_fewer_are_no_error():
    async with serving(pictures(png(1), png(2), png(3))) as server:
        assert len((await paint(server.base_url, Wanted(prompt="x", count=2))).pngs) == 2
    async with serving(pictures(png(1))) as server:
        assert len((await paint(server.base_url, Wanted(prompt="x", count=4))).pngs) == 1


async def test_openai_is_asked_for_no_seed():
    with pytest.raises(Unavailable, match="takes no seed"):
        await model("").paint(Wanted(prompt="x", seed=1), lambda text: None)


def test_a_key_goes_to_the_endpoint_that_it_was_given_for_and_to_no_other(tmp_path):
    def key(**env: str) -> str:
        base = {"WORKBENCH_CONFIG": str(tmp_path), "OPENAI_API_KEY": "sk-chat", "WORKBENCH_IMAGE_MODEL": "painter"}
        chosen = choose_images(load_settings(base | env, tmp_path))
        assert isinstance(chosen, OpenAIImages)
        return chosen._remote._key.get_secret_value() if chosen._remote._key else ""

    assert key() == "sk-chat"
    assert key(WORKBENCH_IMAGE_BASE_URL="http://127.0.0.1:1/v1") == ""
    assert key(WORKBENCH_IMAGE_BASE_URL="http://127.0.0.1:1/v1", WORKBENCH_IMAGE_API_KEY="sk-own") == "sk-own"
    assert choose_images(load_settings({"WORKBENCH_CONFIG": str(tmp_path)}, tmp_path)) is None
