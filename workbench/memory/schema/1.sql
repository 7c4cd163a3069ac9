-- Version 1. No key and no index anywhere: an index in a file that several processes attach in turn has corrupted files
-- (duckdb issues 15836, 18732, 22044, 25510). An event is there once because the merge leaves out ids that are there.

create table meta (key varchar, value varchar);

-- How far each journal has been taken over; written in the transaction that takes its events over.
create table journal_offsets (journal varchar, taken bigint, updated_at timestamp);

-- The one table that holds what happened; every other one is a view of it (views.sql).
-- merged: the order in which events arrived here, from 1. happened_at: UTC ("at" is a reserved word in SQL).
-- exact: the body as ASCII JSON where it holds half surrogate pairs, which no JSON column takes; null otherwise.
create table events (
    merged bigint, id varchar, run varchar, attempt integer, seq bigint, v integer, happened_at timestamp, kind varchar,
    step varchar, body json, exact varchar
);
