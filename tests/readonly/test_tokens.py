"""The scanner sees the words that PostgreSQL sees."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.readonly.statement import Statement
from workbench.readonly.tokens import tokens
from workbench.toolkit import Failed

BLANKS = [" ", "\n", "\t", "/**/", "/* ' */", '/* /* $$ */ " */', "-- it's\n", "--\r", '/* "*/']
BLANK = st.lists(st.sampled_from(BLANKS), min_size=1, max_size=3).map("".join)
PIECES = st.sampled_from(
    ["select", '"a""b"', "'it''s; drop'", "E'\\'; x'", "$$ ; $$", "$a$ $$ ; $a$", "(", ")", ",", "x.y", "$1", "7", "::"]
)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("Select  X", ["select", "x"]),
        ('"Sel""ect"(1)', ['Sel"ect', "(", "1", ")"]),
        ("a/*/*;*/;*/b", ["a", "b"]),
        ("a--;\nb", ["a", "b"]),
        ("a - -1", ["a", "-", "-", "1"]),
        ("'a;b'';'", [""]),
        ("e'\\';'';'", [""]),
        ("'\\';", ["", ";"]),
        ("$$;$a$;$$", [""]),
        ("$ä$;$ä$", [""]),
        ("a$b$c", ["a$b$c"]),
        ("x'ff' b'01' n'x'", None),
        ("ÄPFEL \u212a", ["Äpfel", "\u212a"]),
        ("p" * 70, ["p" * 63]),
    ],
)
def test_words_are_cut_as_the_server_cuts_them(sql: str, words: list[str] | None):
    if words is None:
        with pytest.raises(Failed):
            tokens(sql)
    else:
        assert [token.text for token in tokens(sql)] == words


@pytest.mark.parametrize(
    "sql", ["'a", '"a', "$$a", "/* /* */", "U&'a'", 'U&"a"', "'a' 'b'", "'a'\n'b'", "E'a' --\n'\\''", "a \\ b", "\x01"]
)
def test_what_two_readers_could_read_in_two_ways_is_refused(sql: str):
    with pytest.raises(Failed) as caught:
        tokens(sql)
    assert caught.value.hint


@given(st.lists(PIECES, min_size=1, max_size=12), st.data())
def test_comments_and_space_change_no_word(pieces: list[str], data: st.DataObject):
    strings = [piece[0] in "'E$" and piece != "$1" for piece in pieces]
    if any(one and two for one, two in itertools.pairwise(strings)):
        return
    plain = [token.text for token in tokens(" ".join(pieces))]
    spaced = "".join(part for piece in pieces for part in (piece, data.draw(BLANK)))
    assert [token.text for token in tokens(spaced)] == plain


FORBIDDEN = [
    "DELETE FROM sales",
    "SELECT * INTO t FROM sales",
    "WITH x AS ( DELETE FROM sales RETURNING * ) SELECT * FROM x",
    "WITH x AS ( SELECT 1 ) UPDATE sales SET amount = 0",
    "WITH x AS MATERIALIZED ( INSERT INTO sales SELECT 1 ) TABLE x",
    "SELECT * FROM sales FOR UPDATE",
    "SELECT * FROM sales FOR NO KEY UPDATE",
    "SELECT * FROM sales FOR KEY SHARE",
    "SELECT * FROM sales FOR SHARE SKIP LOCKED",
    "COPY sales TO STDOUT",
    "EXPLAIN ANALYZE DELETE FROM sales",
    "SET ROLE postgres",
    "SHOW all",
    "CALL p ( )",
    "DO $$ BEGIN END $$",
    "LISTEN x",
    "SELECT 1 ; SELECT 2",
]


@given(statement=st.sampled_from(FORBIDDEN), data=st.data())
def test_no_disguise_of_a_forbidden_statement_is_taken(statement: str, data: st.DataObject):
    words = [data.draw(st.sampled_from([w.upper(), w.lower(), w.title()])) for w in statement.split(" ")]
    sql = data.draw(BLANK) + "".join(part for word in words for part in (word, data.draw(BLANK)))
    with pytest.raises(Failed):
        Statement(sql)


@given(name=st.sampled_from(["pg_sleep", "nextval", "lo_unlink", "dblink"]), data=st.data())
def test_a_call_is_seen_however_it_is_written(name: str, data: st.DataObject):
    written = data.draw(
        st.sampled_from([name, name.upper(), f'"{name}"', f'pg_catalog."{name}"', f"pg_catalog.{name}"])
    )
    sql = f"SELECT a.b, {written}{data.draw(BLANK)}( 1 ) FROM sales"
    assert name in {called for _, called in Statement(sql).calls}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'DELETE FROM sales; --' AS t",
        'SELECT "into", "delete" FROM sales',
        "SELECT update FROM t WHERE (delete = 1)",
        "SELECT substring(x FOR 3) FROM t;",
        "SELECT t.into FROM t",
        "(SELECT 1) UNION (SELECT 2);;",
    ],
)
def test_words_in_strings_and_names_are_no_statements(sql: str):
    Statement(sql)
