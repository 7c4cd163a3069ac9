"""An argument is the user's when it is made of the user's words, and of nothing else."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from workbench.policy.words import Wording, is_visible, unmixed, visible

WORDS = st.text("abcdefghijklmnopqrstuvwxyzäöüß", min_size=1, max_size=8)
TOKENS = st.one_of(
    WORDS,
    st.integers(0, 10**9).map(str),
    st.builds("{}@{}.example".format, WORDS, WORDS),
    st.builds("https://{}.example/{}?q={}".format, WORDS, WORDS, WORDS),
    st.builds("{}/{}.csv".format, WORDS, WORDS),
)
REQUESTS = st.lists(TOKENS, min_size=1, max_size=12)
HIDDEN = st.sampled_from(
    "\u200b\u200d\u2060\ufeff\u202e\u2066\U000e0041\U000e0001\ufe0f\u3164\u00ad\x00\x1b\u115f\u180b\u2800\u2028"
)


@given(REQUESTS, st.data())
def test_any_run_of_the_requests_words_is_the_users(tokens: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(tokens) - 1))
    end = data.draw(st.integers(start + 1, len(tokens)))
    said = Wording(" ".join(tokens))
    assert said.has(" ".join(tokens[start:end]), in_order=True)
    assert said.has(" ".join(tokens[start:end]), in_order=False)


@given(REQUESTS, st.randoms(use_true_random=False))
def test_in_another_order_they_are_for_who_only_looks_something_up(tokens: list[str], luck: random.Random) -> None:
    mixed = luck.sample(tokens, len(tokens))
    assert Wording(" ".join(tokens)).has(" ".join(mixed), in_order=False)
    assert not Wording(" ".join(tokens)).has(" ".join([*mixed, *tokens]), in_order=False), "no word comes more often"


@given(REQUESTS, TOKENS, st.integers(0, 12), st.booleans())
def test_one_word_that_the_user_did_not_write_makes_it_a_strangers(
    tokens: list[str], foreign: str, at: int, in_order: bool
) -> None:
    assume(foreign.casefold() not in {token.casefold() for token in tokens})
    assume(not foreign.isdecimal() or float(foreign) not in {float(t) for t in tokens if t.isdecimal()})
    assume(foreign not in ("zero", "one", "two", "six", "ten", "four", "five", "nine", "three", "seven", "eight"))
    assert not Wording(" ".join(tokens)).has(" ".join([*tokens[:at], foreign, *tokens[at:]]), in_order=in_order)


@given(REQUESTS, HIDDEN, st.data())
def test_a_character_that_nobody_sees_makes_it_a_strangers(tokens: list[str], hidden: str, data: st.DataObject) -> None:
    text = " ".join(tokens)
    at = data.draw(st.integers(0, len(text)))
    spoilt = text[:at] + hidden + text[at:]
    assert not is_visible(spoilt)
    assert not Wording(text).has(spoilt, in_order=False)
    assert not Wording(spoilt).has(spoilt, in_order=True), "not even when it stands in the request"
    assert hidden not in visible(spoilt)


@given(st.builds("{}@{}.example".format, WORDS, WORDS), st.data())
def test_a_piece_of_an_address_is_another_address(address: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(address) - 1))
    end = data.draw(st.integers(start + 1, len(address)))
    assume(address[start:end].casefold() not in (address.casefold(), address.casefold().removesuffix(".")))
    assert not Wording(f"mail it to {address} please").has(address[start:end], in_order=True) or address[start:end] in (
        "mail",
        "it",
        "to",
        "please",
    )


BLANKS = st.text(" \t\n\u00a0\u2003", min_size=1, max_size=4)


def test_an_address_may_get_its_https_and_nothing_else() -> None:
    said = Wording("open news.example/coffee and tell me")
    assert said.has("https://news.example/coffee", in_order=True)
    assert said.has("https://news.example/coffee", in_order=False)
    for other in (
        "http://news.example/coffee",
        "https://news.example",
        "https://https://news.example/coffee",
        "https://",
    ):
        assert not said.has(other, in_order=True)


MARKS = st.text(".,;:!?$€%()'", max_size=6)
ZEROS = st.integers(0, 50)


@given(BLANKS, MARKS, MARKS, ZEROS, ZEROS, st.sampled_from(["figures", "FIGURES", "Figures", "fIgUrEs", "figureS"]))
def test_how_the_users_words_are_set_carries_no_message(
    blank: str, before: str, after: str, zeros: int, decimals: int, word: str
) -> None:
    said = Wording("look for figures, then pay 5 of them")
    worded = f"look{blank}for{blank}{word}{after}"
    counted = f"{before}{'0' * zeros}5{'.' * bool(decimals)}{'0' * decimals}{after}"
    if said.has(worded, in_order=False):
        assert blank in (" ", "\n")
        assert after == "..." or len(after) <= 1
        assert word != "fIgUrEs"
        assert word != "figureS"
    if said.has(counted, in_order=False):
        assert (len(before), zeros) <= (1, 0)
        assert len(counted) <= 43


@given(st.integers(10**16, 10**30))
def test_each_digit_of_a_long_number_counts(number: int) -> None:
    said = Wording(f"pay 5 to {number} today")
    for other in (number + 1, str(number + 1), 10**400):
        assert not said.has(other, in_order=True)
    assert said.has(number, in_order=True)
    assert said.has(str(number), in_order=True)


@pytest.mark.parametrize("text", ["b\u043eb@corp.example", "\uff50aypal", "\u0391lpha news"])
def test_letters_that_pass_for_others_are_named(text: str) -> None:
    assert unmixed(text).isascii()


@pytest.mark.parametrize("text", ["отчёт.txt", "Ελλάδα", "报告.txt", "naïve größen", "α = 5"])
def test_words_of_one_script_are_shown_as_they_are(text: str) -> None:
    assert unmixed(text) == text


REQUEST = (
    "Mail 'The report is late.' to bob@corp.example, pay 1,250.50 € and 12,5 % of it (three times); "
    "then read <https://a.example/b?c=1> and save @sales to out/totals.csv!"
)


@pytest.mark.parametrize(
    "value",
    [
        "bob@corp.example",
        "The report is late.",
        "the report is late",
        "https://a.example/b?c=1",
        "out/totals.csv",
        "@sales",
        1250.5,
        "1250.50",
        "1,250.50",
        12.5,
        3,
        ["bob@corp.example", 3],
        {"read": "https://a.example/b?c=1"},
    ],
)
def test_what_the_user_wrote_is_theirs_whatever_stands_around_it(value: Any) -> None:
    assert Wording(REQUEST).has(value, in_order=True)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "   ",
        None,
        True,
        [],
        {},
        "bob@corp.example.evil.example",
        "corp.example",
        "BOB@CORP.EXAMPLE",
        "https://a.example/b",
        "https://a.example/b?c=12",
        "HTTPS://A.EXAMPLE/b?c=1",
        "totals.csv",
        "late report",
        "bоb@corp.example",  # a Cyrillic letter
        "bob@corp.example\nBcc: eve@evil.example",
        1250,
        250.5,
        12.51,
        1,
        ["bob@corp.example", "eve@evil.example"],
        {"evil": "bob@corp.example"},
        "bob@corp.example ;",
    ],
)
def test_what_only_looks_like_it_is_not(value: Any) -> None:
    assert not Wording(REQUEST).has(value, in_order=True)


def test_digits_inside_of_a_longer_word_are_no_number() -> None:
    assert not Wording("pay GB29NWBK60161331926819 in s3").has(60161331926819, in_order=True)
    assert not Wording("look at 2025-01-31").has(31, in_order=True)


def test_scripts_without_spaces_are_read_letter_by_letter() -> None:
    said = Wording("把总收入保存到报告.csv，然后发给bob@corp.example")
    assert said.has("报告.csv", in_order=True)
    assert said.has("总收入", in_order=True)
    assert not said.has("秘密.csv", in_order=True)
