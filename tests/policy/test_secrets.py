import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.policy.canaries import CANARIES, MODEL, seen, spelled
from workbench.core.artifacts import PNG, Artifact
from workbench.core.errors import ToolFailed
from workbench.core.tools import ToolResult
from workbench.policy.leaks import clean_error, clean_result
from workbench.policy.secrets import Secrets

KEY = 'sk-a/b+c=d "é" 12345'


def redacting(*keys: str):
    return Secrets({str(number): SecretStr(key) for number, key in enumerate(keys)}).redact


redact = redacting(KEY)


@pytest.mark.parametrize(
    "form",
    [KEY, quote(KEY), quote(KEY, safe=""), quote_plus(KEY), json.dumps(KEY), json.dumps(KEY, ensure_ascii=False)],
)
def test_a_secret_is_taken_out_in_every_encoding(form):
    assert redact(f"before {form} after").replace('"', "") == "before [redacted] after"


@given(st.binary(max_size=9), st.binary(max_size=9))
def test_a_secret_is_found_in_base64_wherever_it_stands(before, after):
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert "[redacted]" in redact(encode(before + KEY.encode() + after).decode())


def test_one_secret_inside_another_leaves_no_rest():
    both = redacting("abcdef", "abcdef-123456")
    assert both("abcdef-123456") == "[redacted]"


def test_text_without_secrets_and_values_too_short_to_be_keys_stay():
    text = "an ordinary line, x and y"
    assert redact(text) == text
    assert redacting("x", "")(text) == text


def test_signs_that_mean_something_in_patterns_are_plain_here():
    assert redacting("a.c.e.g")("abcdefg a.c.e.g") == "abcdefg [redacted]"


def test_a_key_in_json_that_is_a_text_in_json_is_found():
    for form in spelled(MODEL):
        for text in (json.dumps([form]), json.dumps(json.dumps([form]))):
            assert not seen(SECRETS.redact(text)), text


SECRETS = Secrets({name: SecretStr(key) for name, key in CANARIES.items()})
FORMS = [form for key in CANARIES.values() for form in spelled(key)]
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=40)


@given(KEYS, st.text(), st.text())
def test_any_key_is_taken_out_wherever_it_stands_and_the_rest_stays(key, before, after):
    if key not in before + after and key not in before + key[1:] and key not in key[:-1] + after:
        said = Secrets({"k": SecretStr(key)}).redact(f"{before}{key}{after}")
        assert said.startswith(before[: -len(key)] if len(before) > len(key) else "")
        assert "[redacted]" in said
        assert key not in said.replace("[redacted]", "")


@given(
    st.lists(st.sampled_from([*FORMS, " ", "x", "words of a reply "]), max_size=8),
    st.integers(1, 90),
    st.integers(0, 50),
)
def test_no_key_gets_through_in_pieces(parts, size, first):
    text = "".join(parts)
    whole = SECRETS.redact(text)
    chunks = SECRETS.chunks()
    pieces = [text[:first], *(text[at : at + size] for at in range(first, len(text), size))]
    given = [chunks.feed(piece) for piece in pieces]
    assert not seen("".join(given))
    assert "".join([*given, chunks.end()]) == whole
    assert not seen(whole)


def test_every_text_of_a_value_is_redacted_names_too():
    value = {KEY: [1, (KEY, {"a": f"x{KEY}"}), None, 2.5, True]}
    cleaned = Secrets({"k": SecretStr(KEY)}).redacted(value)
    assert cleaned == {"[redacted]": [1, ["[redacted]", {"a": "x[redacted]"}], None, 2.5, True]}


def test_a_secret_is_looked_up_once_and_taken_out_from_then_on():
    asked = []

    def look(name):
        asked.append(name)
        return SecretStr("found-0123456789") if name == "THERE" else None

    secrets = Secrets({"KNOWN": SecretStr("known-0123456789")}, look)
    assert secrets.redact("found-0123456789") == "found-0123456789"
    for _ in range(3):
        secrets.read(["THERE", "KNOWN", "NOT_THERE"])
    assert asked == ["THERE", "NOT_THERE"]
    assert secrets.redact("found-0123456789 known-0123456789") == "[redacted] [redacted]"
    assert sorted(secrets) == ["KNOWN", "THERE"]
    assert "0123456789" not in repr(secrets["THERE"])


ESCAPES = [
    lambda c: f"\\u{ord(c):04x}",
    lambda c: f"\\\\u{ord(c):04X}",
    lambda c: f"\\x{ord(c):02x}",
    lambda c: f"%{ord(c):02x}",
    lambda c: f"&#{ord(c)};",
    lambda c: f"&#x{ord(c):x};",
    lambda c: c,
]
ESCAPED = st.lists(st.sampled_from(ESCAPES), min_size=len(MODEL), max_size=len(MODEL)).map(
    # What begins an escape is escaped itself where letters are.
    lambda ways: "".join(
        (ESCAPES[0] if letter in "\\%&" else way)(letter) for way, letter in zip(ways, MODEL, strict=True)
    )
)


@given(ESCAPED, st.sampled_from(["", "x", "100% \\u", "&#"]), st.integers(1, 60))
def test_a_key_is_found_whichever_of_its_letters_are_escaped(escaped, around, size):
    text = f"{around} {escaped} {around}"
    expected = f"{around} [redacted] {around}"
    assert SECRETS.redact(text) == expected
    chunks = SECRETS.chunks()
    pieces = [chunks.feed(text[at : at + size]) for at in range(0, len(text), size)]
    assert "".join([*pieces, chunks.end()]) == expected


def test_base64_with_its_slashes_escaped_is_found():
    coded = base64.b64encode(b"xx" + KEY.encode()).decode()
    for form in (coded.replace("/", "\\/"), quote(coded, safe=""), coded.replace("+", "\\u002b")):
        assert "[redacted]" in redact(form)


@pytest.mark.parametrize(
    "text", ["100% of 5&#x20AC; \\u00e9t\\u00e9 C:\\users\\x1 a%20b", "%", "&#", "\\u", "\\/\\/", "%4"]
)
def test_escapes_that_hide_nothing_stay(text):
    assert SECRETS.redact(text) == text


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_holds_a_key_is_known_also_across_its_pieces(tmp_path, form):
    path = tmp_path / "file"
    for before in (0, (1 << 20) - 5):
        path.write_bytes(b"\xff" * before + form.encode() + b"\0")
        assert SECRETS.are_in(path)
    path.write_bytes(b"\xff" * before + form.encode()[3:])
    assert not Secrets({"k": SecretStr(form)}).are_in(path)


def test_a_result_is_cleaned_and_one_whose_file_holds_a_key_has_failed(tmp_path):
    made = Artifact(path="r/p.png", mime=PNG, bytes=1, sha256="0", title=f"of {KEY}", alt=KEY)
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "p.png").write_bytes(b"pixels")
    secrets = Secrets({"k": SecretStr(KEY)})
    result = ToolResult(status="ok", value={KEY: made, "n": 1}, text=KEY, artifacts=(made,), sources=({"title": KEY},))
    cleaned = clean_result(result, secrets, tmp_path)
    assert KEY not in str(cleaned)
    assert (cleaned.value["n"], cleaned.value["[redacted]"].title) == (1, "of [redacted]")
    (tmp_path / "r" / "p.png").write_bytes(b"pixels" + KEY.encode())
    failed = clean_result(result, secrets, tmp_path)
    assert (failed.status, failed.value, failed.artifacts) == ("failed", None, ())
    assert not (tmp_path / "r" / "p.png").exists()


def test_an_error_and_what_led_to_it_are_cleaned():
    try:
        try:
            raise ValueError("first", KEY)
        except ValueError as error:
            raise ToolFailed(f"second {KEY}", hint=KEY, said=[KEY]) from error
    except ToolFailed as error:
        caught = error
    clean_error(caught, Secrets({"k": SecretStr(KEY)}))
    assert KEY not in "".join([repr(caught), str(vars(caught)), repr(caught.__cause__), *caught.lines()])
    assert caught.message == "second [redacted]"
