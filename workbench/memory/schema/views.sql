-- What people query. All are views of events, so that nothing can disagree with it, and erasing an event erases it here.
-- `merged` breaks no tie: within a run, (attempt, seq) is the order.

create or replace view model_calls as
select
    run, attempt, seq, happened_at,
    body->>'$.purpose' as purpose,
    body->>'$.model' as model,
    body->>'$.endpoint' as endpoint,
    body->>'$.request_sha256' as request_sha256,
    body->>'$.response_sha256' as response_sha256,
    coalesce(try_cast(body->>'$.tokens_in' as bigint), 0) as tokens_in,
    coalesce(try_cast(body->>'$.tokens_out' as bigint), 0) as tokens_out,
    try_cast(body->>'$.usd' as decimal(28, 10)) as usd,
    body->>'$.finish' as finish,
    try_cast(body->>'$.seconds' as double) as seconds,
    coalesce(body->>'$.error.message', body->>'$.error') as error
from events
where kind = 'model.called';

create or replace view tool_calls as
select
    run, step, attempt, seq, happened_at,
    body->>'$.tool' as tool,
    body->>'$.version' as version,
    coalesce(try_cast(body->>'$.try' as integer), 1) as try,
    body->>'$.status' as status,
    body->>'$.request_sha256' as request_sha256,
    body->>'$.response_sha256' as response_sha256,
    try_cast(body->>'$.seconds' as double) as seconds,
    body->>'$.isolation' as isolation
from events
where kind = 'tool.called';

create or replace view artifacts as
select
    run, step, happened_at,
    body->>'$.path' as path,
    body->>'$.mime' as mime,
    try_cast(body->>'$.bytes' as bigint) as bytes,
    body->>'$.sha256' as sha256,
    body->>'$.title' as title,
    try_cast(body->>'$.rows' as bigint) as rows
from events
where kind = 'artifact.made';

-- A memory that another of the same user took the place of holds until then and stays here; valid_to is null while it
-- holds. One that says nothing new is no row: it is an event memory.folded.
create or replace view memories as
with forgotten as (
    select body->>'$.id' as id from events where kind = 'memory.forgotten'
), written as (
    select body->>'$.id' as id, body->>'$.scope.user' as user, body, run, step, happened_at
    from events
    where kind = 'memory.written'
), pins as (
    select body->>'$.id' as id, body->>'$.user' as user, arg_max(try_cast(body->>'$.pinned' as boolean), happened_at) as pinned
    from events
    where kind = 'memory.pinned'
    group by all
), closings as (
    select old, user, arg_min(id, happened_at) as closed_by, min(happened_at) as closed_at
    from (select unnest(from_json(body->'$.closes', '["varchar"]')) as old, user, id, happened_at from written)
    where id not in (select id from forgotten)
    group by old, user
)
select
    written.id,
    written.user,
    body->>'$.scope.workspace' as workspace,
    body->>'$.scope.session' as session,
    body->>'$.scope.persona' as persona,
    body->>'$.memory_kind' as kind,
    body->>'$.text' as text,
    body->>'$.source' as source,
    body->>'$.by' as by,
    coalesce(pins.pinned, try_cast(body->>'$.pinned' as boolean), false) as pinned,
    run, step, happened_at,
    closed_at as valid_to,
    closed_by,
    written.id in (select id from forgotten) as forgotten
from written
left join closings on closings.old = written.id and closings.user = written.user
left join pins on pins.id = written.id and pins.user = written.user;

-- A run that was taken up again is told by its newest attempt. One whose process died stays 'running' here.
create or replace view runs as
with calls as (
    select
        run,
        -- the price of the whole is unknown when one price is
        case when count(*) = count(usd) then sum(usd) end as usd,
        sum(tokens_in)::bigint as tokens_in,
        sum(tokens_out)::bigint as tokens_out
    from model_calls
    group by run
), told as (
    select
        run,
        arg_min(body, (attempt, seq)) filter (kind = 'run.started') as opening,
        arg_max(body, (attempt, seq)) filter (kind = 'plan.made') as plan,
        arg_max(body, (attempt, seq)) filter (kind = 'run.done') as closing,
        arg_max(kind, (attempt, seq)) filter (kind <> 'plan.made') = 'run.done' as ended,
        min(happened_at) filter (kind = 'run.started') as started_at,
        max(happened_at) filter (kind = 'run.done') as ended_at
    from events
    where kind in ('run.started', 'plan.made', 'run.done')
    group by run
)
select
    run,
    opening->>'$.user' as user,
    opening->>'$.session' as session,
    opening->>'$.workspace' as workspace,
    opening->>'$.request' as request,
    case when ended then closing->>'$.status' else 'running' end as status,
    plan->>'$.planner' as planner,
    plan->>'$.model' as model,
    coalesce(plan->>'$.isolation', opening->>'$.isolation') as isolation,
    started_at,
    case when ended then ended_at end as ended_at,
    case when ended then try_cast(closing->>'$.seconds' as double) end as seconds,
    case when calls.run is null then 0 else calls.usd end as usd,
    coalesce(calls.tokens_in, 0) as tokens_in,
    coalesce(calls.tokens_out, 0) as tokens_out,
    case when ended then closing->>'$.answer.text' end as answer,
    case when ended then closing->>'$.error.message' end as error,
    opening->>'$.notebook' as notebook
from told left join calls using (run);

-- A step is told by the newest plan that names it, unless a person has left it out since.
create or replace view planned_steps as
with named as (
    select
        run, attempt, seq,
        unnest(json_extract(body, '$.plan.steps[*]')) as spec,
        generate_subscripts(json_extract(body, '$.plan.steps[*]'), 1) as number,
        spec->>'$.id' as step
    from events
    where kind in ('plan.made', 'plan.edited')
), gone as (
    select run, unnest(from_json(body->'$.left_out', '["varchar"]')) as step, attempt, seq
    from events
    where kind = 'plan.edited'
)
select run, step, arg_max(spec, (attempt, seq)) as spec, arg_max(number, (attempt, seq)) as number
from named
where not exists (
    select 1 from gone
    where gone.run = named.run and gone.step = named.step and (gone.attempt, gone.seq) > (named.attempt, named.seq)
)
group by run, step;

-- The state of a step is the newest that was told of it.
create or replace view steps as
with planned as (
    select run, step, spec, number from planned_steps
), told as (
    select
        run, step,
        arg_max(kind, (attempt, seq)) filter (kind not in ('step.progress', 'step.retried')) as last_kind,
        arg_max(body, (attempt, seq)) filter (kind in ('step.done', 'step.failed', 'step.skipped', 'step.uncertain', 'step.cancelled')) as closing,
        count(*) filter (kind = 'step.started') as tries,
        min(happened_at) filter (kind = 'step.started') as started_at,
        max(happened_at) filter (kind in ('step.done', 'step.failed', 'step.skipped', 'step.blocked', 'step.uncertain', 'step.cancelled')) as ended_at
    from events
    where kind like 'step.%'
    group by run, step
)
select
    run, step, planned.number,
    spec->>'$.task' as task,
    coalesce(spec->>'$.title', spec->>'$.task') as title,
    spec->'$.params' as params,
    case
        when last_kind is null then 'waiting'
        when last_kind in ('step.intent', 'step.started') then 'running'
        else substr(last_kind, 6)
    end as state,
    coalesce(tries, 0) as tries,
    try_cast(closing->>'$.seconds' as double) as seconds,
    coalesce(closing->>'$.error.message', closing->>'$.reason') as error,
    started_at, ended_at
from planned full join told using (run, step);

-- What tools sent out, one row an exchange.
create or replace view service_calls as
select
    run, step, attempt, seq, happened_at,
    body->>'$.service' as service,
    body->>'$.host' as host,
    body->>'$.method' as method,
    try_cast(body->>'$.status' as integer) as status,
    coalesce(try_cast(body->>'$.bytes_out' as bigint), 0) as bytes_out,
    coalesce(try_cast(body->>'$.bytes_in' as bigint), 0) as bytes_in,
    try_cast(body->>'$.seconds' as double) as seconds,
    body->>'$.request_sha256' as request_sha256,
    coalesce(try_cast(body->>'$.occurrence' as integer), 0) as occurrence,
    body->>'$.response_sha256' as response_sha256,
    coalesce(try_cast(body->>'$.replayed' as boolean), false) as replayed,
    body->>'$.error.message' as error
from events
where kind = 'service.called';

-- What models cost, by run, model and purpose: the calls that were made. usd is the sum of what is known; unpriced counts
-- the calls without a price, replayed those that were answered from the record of an earlier run, and cost nothing again.
create or replace view costs as
with told as (
    select run, seq, attempt, coalesce(try_cast(body->>'$.replayed' as boolean), false) as replayed
    from events
    where kind = 'model.called'
)
select
    calls.run, runs.user, calls.model, calls.purpose,
    count(*) filter (not replayed)::bigint as calls,
    coalesce(sum(calls.tokens_in) filter (not replayed), 0)::bigint as tokens_in,
    coalesce(sum(calls.tokens_out) filter (not replayed), 0)::bigint as tokens_out,
    coalesce(sum(calls.usd) filter (not replayed), 0) as usd,
    count(*) filter (calls.usd is null and not replayed)::bigint as unpriced,
    count(*) filter (replayed)::bigint as replayed,
    coalesce(sum(calls.seconds) filter (not replayed), 0) as seconds,
    min(calls.happened_at) as first_at,
    max(calls.happened_at) as last_at
from model_calls as calls join told using (run, attempt, seq) left join runs on runs.run = calls.run
group by calls.run, runs.user, calls.model, calls.purpose;

-- Whatever went wrong, one row each, as it was told; also what a later try or attempt made good.
create or replace view failures as
select
    run, step, attempt, seq, happened_at,
    case kind
        when 'run.done' then 'run'
        when 'step.failed' then 'step'
        when 'item.failed' then 'item'
        when 'step.retried' then 'try'
        when 'model.called' then 'model'
        when 'service.called' then 'service'
    end as what,
    case kind
        when 'model.called' then body->>'$.model'
        when 'service.called' then concat_ws(' ', body->>'$.service', body->>'$.host')
    end as name,
    body->>'$.error.kind' as error,
    coalesce(body->>'$.error.message', body->>'$.error') as message,
    body->>'$.error.hint' as hint
from events
where
    kind in ('run.done', 'step.failed', 'item.failed', 'step.retried', 'model.called', 'service.called')
    and coalesce(body->>'$.error', 'null') <> 'null';

-- What each result is made of, one row a source; without a step: what the plan is made of. A result is told by its
-- newest end. Kind 'step': another step that its parameters refer to or that it needs. sha256 and rows: of the table that
-- was offered, or of what that other step has made, where it is one file.
create or replace view lineage as
with made as (
    select run, null as step, unnest(from_json(body->'$.sources', '[{"kind":"varchar","label":"varchar","step":"varchar"}]')) as source
    from events
    where kind = 'plan.made'
    union all
    select run, step, unnest(from_json(body->'$.provenance', '[{"kind":"varchar","label":"varchar","step":"varchar"}]')) as source
    from (
        select run, step, arg_max(body, (attempt, seq)) as body
        from events
        where kind in ('step.done', 'step.failed')
        group by run, step
    )
    union all
    select run, step, {'kind': 'step', 'label': '', 'step': unnest(list_distinct(list_concat(
        regexp_extract_all(spec, '"\$ref":"([^@"#][^"#]*)', 1),
        regexp_extract_all(spec, '\{\{([A-Za-z][A-Za-z0-9_-]*)[#}]', 1),
        coalesce(from_json(needs, '["varchar"]'), [])
    )))} as source
    from (
        select run, step, spec::varchar as spec, spec->'$.needs' as needs
        from planned_steps
    )
), files as (
    select
        run,
        coalesce('@' || (body->>'$.variable'), step) as name,
        case when count(distinct body->>'$.sha256') = 1 then min(body->>'$.sha256') end as sha256,
        case when count(distinct body->>'$.sha256') = 1 then min(try_cast(body->>'$.rows' as bigint)) end as rows
    from events
    where kind = 'artifact.made'
    group by all
)
select distinct
    made.run, made.step,
    source.kind as kind,
    source.label as label,
    nullif(source.step, '') as from_step,
    files.sha256, files.rows
from made left join files on files.run = made.run and files.name = coalesce(nullif(source.step, ''), source.label);
