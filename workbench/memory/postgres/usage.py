"""What a user has used, counted by the server as `memory.usage` counts it in DuckDB."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from workbench.core.usage import Use
from workbench.memory.postgres.tables import text

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.AsyncConnection[Any]

# Events of `budget` are committed under a lock: of two reservations that come at once, the later sees the earlier.
_SPENT = """
with mine as (
    select distinct run from workbench.events where kind = 'run.started' and body->>'user' = %(user)s
), told as (
    select
        run, position, happened_at,
        body->>'reservation' as reservation,
        body->'use' as used,
        coalesce(body->>'settled' = 'true', false) as settled
    from workbench.events
    where kind = 'budget' and run in (select run from mine)
), reserved as (
    select
        (array_agg(used order by settled desc, position desc) filter (where used is not null))[1] as used,
        bool_or(settled) as settled, min(position) as first, max(happened_at) as told_at
    from told
    group by reservation
), amounts as (
    select
        workbench.number(used->>'calls') as calls, workbench.number(used->>'tokens') as tokens,
        workbench.number(used->>'images') as images, workbench.number(used->>'seconds') as seconds,
        workbench.number(used->>'usd') as usd
    from reserved
    where told_at >= %(since)s and (
        settled or %(reservation)s::text is null
        or first <= (select min(position) from told where reservation = %(reservation)s)
    )
    union all
    select
        case when kind <> 'artifact.made' then 1 end,
        case kind when 'model.called' then
            coalesce(workbench.number(body->>'tokens_in'), 0) + coalesce(workbench.number(body->>'tokens_out'), 0) end,
        case kind when 'artifact.made' then 1 end,
        case when kind <> 'artifact.made' then workbench.number(body->>'seconds') end,
        case kind when 'model.called' then workbench.number(body->>'usd') end
    from workbench.events
    where kind in ('model.called', 'tool.called', 'artifact.made') and happened_at >= %(since)s
        and run in (select run from mine) and run not in (select run from told)
        and (kind <> 'artifact.made' or body->>'mime' like 'image/%%')
)
select
    coalesce(sum(trunc(calls)), 0)::bigint, coalesce(sum(trunc(tokens)), 0)::bigint,
    coalesce(sum(trunc(images)), 0)::bigint, coalesce(sum(seconds), 0)::float8, coalesce(sum(usd), 0)::text
from amounts
"""


async def spent(connection: Connection, user: str, since: datetime, reservation: str | None) -> Use:
    """What `user` has used since a moment, with what is set aside: all of it, or what came before `reservation`, and
    that one itself."""
    values = {
        "user": text(user),
        "since": since.astimezone(UTC).replace(tzinfo=None),
        "reservation": None if reservation is None else text(reservation),
    }
    calls, tokens, images, seconds, usd = (await (await connection.execute(_SPENT, values)).fetchall())[0]
    return Use(calls=calls, tokens=tokens, images=images, seconds=seconds, usd=Decimal(usd))
