import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.errors import Refused
from workbench.policy.sanitize import MAX_CHARACTERS, clean_prompt

ORDINARY = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")).filter(str.strip)
ANY = st.text(st.characters(blacklist_characters="", codec=None)).map(lambda text: text + "x")


@given(ORDINARY)
def test_ordinary_text_stays_byte_for_byte(text):
    assert clean_prompt(text).text == text
    assert clean_prompt(text).notes == ()


@given(ANY | st.lists(st.sampled_from(["\ud83d", "\ude00", "\0", "a", "é"])).map(lambda parts: "".join(parts) + "x"))
def test_what_comes_out_can_be_stored_and_stays_as_it_is(text):
    cleaned = clean_prompt(text)
    assert "\0" not in cleaned.text
    assert cleaned.text.encode("utf-8")
    assert clean_prompt(cleaned.text).notes == ()
    assert bool(cleaned.notes) == (cleaned.text != text)


@pytest.mark.parametrize(
    "text", ['{"a": {"b": "{{x}}"}}', "{0} {} %s $HOME `x`", "\N{GRINNING FACE}", "a\r\nb\tc", "\ufeffx", "x" * 100_000]
)
def test_json_braces_dollars_emoji_and_length_pass(text):
    assert clean_prompt(text).text == text


def test_halves_that_stand_together_are_one_character_again():
    cleaned = clean_prompt("a\ud83d\ude00b\ud83d")
    assert cleaned.text == "a\N{GRINNING FACE}b\N{REPLACEMENT CHARACTER}"
    assert len(cleaned.notes) == 1


@pytest.mark.parametrize("text", ["x" * (MAX_CHARACTERS + 1), "", " \n", "\0"])
def test_too_much_and_nothing_are_refused_in_one_line(text):
    with pytest.raises(Refused) as caught:
        clean_prompt(text)
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.hint
