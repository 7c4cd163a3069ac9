"""One statement for PostgreSQL, judged by its words before it is sent.

It must begin as reading does, and hold no word that writes or locks. Which functions it calls the words say as well;
the server's own catalogue says what they do: volatile ones are refused but for a few, stable ones allowed by name, and
those that others have made are refused.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from workbench import toolkit
from workbench.readonly import rows as row
from workbench.readonly.tokens import Token, tokens

if TYPE_CHECKING:
    import psycopg

_VOLATILE = frozenset(
    {
        *("random", "random_normal", "clock_timestamp", "timeofday", "gen_random_uuid", "uuidv4", "uuidv7"),
        *("bernoulli", "system", "array_shuffle", "array_sample"),
    }
)
_STABLE = frozenset(
    {
        *("age", "array_to_json", "array_to_string", "col_description", "concat", "concat_ws", "convert_from"),
        *("convert_to", "current_database", "current_schema", "date", "date_add", "date_bin", "date_part"),
        *("date_subtract", "date_trunc", "enum_first", "enum_last", "enum_range", "extract", "format"),
        *("format_type", "generate_series", "length", "make_timestamptz", "money", "now", "numeric"),
        *("obj_description", "overlaps", "pg_column_size", "pg_typeof", "phraseto_tsquery", "plainto_tsquery"),
        *("quote_literal", "quote_nullable", "row_to_json", "statement_timestamp", "time", "timestamp"),
        *("timestamptz", "timetz", "timezone", "to_char", "to_date", "to_json", "to_jsonb", "to_number"),
        *("to_timestamp", "to_tsquery", "to_tsvector", "transaction_timestamp", "ts_headline"),
        *("websearch_to_tsquery", "xml_is_well_formed"),
    }
)
_STABLE_FAMILIES = ("json_", "jsonb_")
_PG_IMMUTABLE = frozenset({"pg_size_pretty", "pg_size_bytes"})
"""Of the server's own functions (`pg_…`) that count as pure; the others look at or act on the server."""


class Statement:
    """One statement by its words. Making it raises Failed for what does not read, or is more than one.

    `calls`: what is called like a function, as (schema or "", name). `fields`: names after a dot, which may be calls
    too: `sales.evil` is `evil(sales)`. `names`: every name in it.
    """

    def __init__(self, sql: str) -> None:
        row.check_text(sql)
        found = tokens(sql)
        while found and found[-1].is_mark(";"):
            found.pop()
        if not found or any(token.is_mark(";") for token in found):
            raise toolkit.Failed("Expected one statement.", hint="Write a single SELECT.")
        self.sql = sql
        self.names = {token.text for token in found if token.is_name}
        self.calls = list(_calls(found))
        self.fields = {b.text for a, b in itertools.pairwise(found) if a.is_mark(".") and b.is_name}
        _check_words(found)


def _check_words(found: list[Token]) -> None:
    first = next((token for token in found if not token.is_mark("(")), found[0])
    if not first.is_word("select", "with", "values", "table"):
        raise toolkit.Failed(f"Only reading is allowed; this begins with {first.text[:40]!r}.", hint="Write a SELECT.")
    depth = 0
    end = Token("mark", "")
    for at, token in enumerate(found):
        before = found[at - 1] if at else end
        after = [*found[at + 1 : at + 4], end, end, end]
        depth += token.is_mark("(") - token.is_mark(")")
        if depth > 200:
            raise toolkit.Failed("The SQL is nested too deep.", hint="Write it in steps, with WITH.")
        if token.is_word("into") and not before.is_mark("."):
            raise toolkit.Failed("Only reading is allowed; INTO writes.", hint="Write a SELECT.")
        if token.is_word("insert", "update", "delete", "merge") and after[0].is_name and _begins(before):
            raise toolkit.Failed(f"Only reading is allowed; {token.text.upper()} writes.", hint="Write a SELECT.")
        if token.is_word("for") and _locks(after):
            raise toolkit.Failed("FOR UPDATE and FOR SHARE lock rows.", hint="Leave them out.")


def _begins(before: Token) -> bool:
    return before.is_mark("(") or before.is_mark(")")


def _locks(after: list[Token]) -> bool:
    """Whether the words after FOR make it a lock: [NO KEY] UPDATE, [KEY] SHARE."""
    words = [token.text if token.kind == "name" else "" for token in after]
    return words[0] in ("update", "share") or words[:2] == ["no", "key"] or words[:2] == ["key", "share"]


def _calls(found: list[Token]) -> Iterator[tuple[str, str]]:
    for at, token in enumerate(found[:-1]):
        if token.is_name and found[at + 1].is_mark("("):
            qualified = at >= 2 and found[at - 1].is_mark(".") and found[at - 2].is_name
            yield (found[at - 2].text if qualified else "", token.text)


def check_functions(connection: psycopg.Connection[Any], statement: Statement) -> None:
    """Raise Failed for a call that the server's catalogue does not show to be harmless."""
    if not statement.calls and not statement.fields:
        return
    called = connection.execute(
        """
        SELECT p.proname::text, n.nspname::text, p.provolatile::text, pg_function_is_visible(p.oid),
               p.pronargs - p.pronargdefaults <= 1 AND (p.pronargs = 0 OR t.typtype IN ('c', 'p'))
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        LEFT JOIN pg_type t ON p.pronargs > 0 AND t.oid = p.proargtypes[0]
        WHERE p.proname::text = ANY(%s)
        """,
        [[*{name for _, name in statement.calls}, *statement.fields]],
    ).fetchall()
    unqualified = {name for schema, name in statement.calls if not schema}
    qualified = set(statement.calls)
    for name, schema, volatility, visible, of_a_row in called:
        meant = (schema, name) in qualified or (visible and name in unqualified)
        if (meant or (of_a_row and name in statement.fields)) and not _is_harmless(name, schema, volatility):
            raise toolkit.Failed(f"The function {name} is not allowed.", hint="Compute from the tables alone.")


def _is_harmless(name: str, schema: str, volatility: str) -> bool:
    if schema != "pg_catalog":
        return False
    match volatility:
        case "i":
            return not name.startswith(("pg_", "txid_")) or name in _PG_IMMUTABLE
        case "s":
            return name in _STABLE or name.startswith(_STABLE_FAMILIES)
        case _:
            return name in _VOLATILE
