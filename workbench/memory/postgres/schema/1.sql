-- Version 1. An event is there once because its name is the key; COMMIT is what acknowledges it.

create table workbench.meta (key text primary key, value text not null);

-- position: the order of arrival. Among events of one of the kinds that are committed under a lock (memory.*, budget) it
-- is the order of their commits too, so who has read up to one of them has missed none.
-- body: without NUL characters and halves of surrogate pairs, so that it can be read in SQL. exact: the body as ASCII
-- JSON where it holds them, null otherwise.
create table workbench.events (
    position bigint generated always as identity,
    run text collate "C" not null, attempt integer not null, seq bigint not null,
    v integer not null, happened_at timestamp, kind text collate "C" not null, step text, body json, exact text,
    primary key (run, attempt, seq)
);
create unique index events_position on workbench.events (position);
create index events_kinds on workbench.events (kind, position);
create index events_runs on workbench.events (happened_at desc nulls last, run desc) where kind = 'run.started';
create index events_users on workbench.events ((body->>'user')) where kind = 'run.started';
create index events_used on workbench.events (kind, happened_at) where kind in ('budget', 'model.called', 'tool.called', 'artifact.made');

-- Vectors of remembered texts, by what a text says and by the model that made them: half floats, little-endian, of
-- length 1. A cache: they can be made again from the texts.
create table workbench.embeddings (
    content_hash text collate "C" not null, model text collate "C" not null, dim integer not null, vector bytea not null,
    created_at timestamp not null default (now() at time zone 'UTC'),
    primary key (model, content_hash)
);

-- The newest attempt at a run that somebody has claimed: events of an older one are refused.
create table workbench.leases (
    run text collate "C" primary key, attempt integer not null, holder text not null,
    claimed_at timestamp not null default (now() at time zone 'UTC')
);

-- Runs that were erased for good: what still arrives of them is not taken.
create table workbench.erased (run text collate "C" primary key, erased_at timestamp not null);

-- The number that a text spells, null when it spells none.
create function workbench.number(text) returns numeric language sql immutable as $$
    select case when $1 ~ '^-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?$' then $1::numeric end
$$;
