import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from workbench.policy.secrets import redactor

KEY = 'sk-a/b+c=d "é" 12345'
redact = redactor([SecretStr(KEY)])


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
    both = redactor([SecretStr("abcdef"), SecretStr("abcdef-123456")])
    assert both("abcdef-123456") == "[redacted]"


def test_text_without_secrets_and_values_too_short_to_be_keys_stay():
    text = "an ordinary line, x and y"
    assert redact(text) == text
    assert redactor([SecretStr("x"), SecretStr("")])(text) == text


def test_signs_that_mean_something_in_patterns_are_plain_here():
    assert redactor([SecretStr("a.c.e.g")])("abcdefg a.c.e.g") == "abcdefg [redacted]"
