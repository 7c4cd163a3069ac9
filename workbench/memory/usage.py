"""What a user has used, counted from the events: so it survives a restart and is the same for every process.

A run that was held to a budget says of each call what it set aside before, and what it took (kind `budget`, see
`policy.budgets`): that is counted. Of other runs the calls themselves are.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from workbench.core.usage import Use
from workbench.memory.rows import clean

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

# A reservation that came into the store behind the one that is asked about gives way to it, unless it is already used.
_SPENT = """
with mine as (
    select run from events where kind = 'run.started' and body->>'$.user' = $user
), told as (
    select
        run, merged,
        body->>'$.reservation' as reservation,
        body->'$.use' as used,
        coalesce(try_cast(body->>'$.settled' as boolean), false) as settled,
        happened_at
    from events
    where kind = 'budget' and run in (from mine)
), reserved as (
    select
        arg_max(used, (settled, merged)) as used, bool_or(settled) as settled, min(merged) as first,
        max(happened_at) as told_at
    from told
    group by reservation
), amounts as (
    select
        try_cast(used->>'$.calls' as bigint) as calls,
        try_cast(used->>'$.tokens' as bigint) as tokens,
        try_cast(used->>'$.images' as bigint) as images,
        try_cast(used->>'$.seconds' as double) as seconds,
        try_cast(used->>'$.usd' as decimal(28, 10)) as usd
    from reserved
    where told_at >= $since and (
        settled or $reservation is null or first <= (select min(merged) from told where reservation = $reservation)
    )
    union all by name
    select 1 as calls, tokens_in + tokens_out as tokens, seconds, usd
    from model_calls
    where happened_at >= $since and run in (from mine) and run not in (select run from told)
    union all by name
    select 1 as calls, seconds
    from tool_calls
    where happened_at >= $since and run in (from mine) and run not in (select run from told)
    union all by name
    select 1 as images
    from artifacts
    where happened_at >= $since and run in (from mine) and run not in (select run from told) and mime like 'image/%'
)
select
    coalesce(sum(calls), 0)::bigint, coalesce(sum(tokens), 0)::bigint, coalesce(sum(images), 0)::bigint,
    coalesce(sum(seconds), 0)::double, coalesce(sum(usd), 0)::varchar
from amounts
"""


def spent(connection: Connection, user: str, since: datetime, reservation: str | None) -> Use:
    """What `user` has used since a moment, with what is set aside: all of it, or what came before `reservation`, and
    that one itself."""
    values = {
        "user": clean(user),
        "since": since.astimezone(UTC).replace(tzinfo=None),
        "reservation": reservation,
    }
    calls, tokens, images, seconds, usd = connection.execute(_SPENT, values).fetchall()[0]
    return Use(calls=calls, tokens=tokens, images=images, seconds=seconds, usd=Decimal(usd))
