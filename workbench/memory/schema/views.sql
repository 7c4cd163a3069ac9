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

-- A step is told by the newest plan that names it; its state is the newest that was told of it.
create or replace view steps as
with planned as (
    select run, step, arg_max(spec, (attempt, seq)) as spec, arg_max(number, (attempt, seq)) as number
    from (
        select
            run, attempt, seq,
            unnest(json_extract(body, '$.plan.steps[*]')) as spec,
            generate_subscripts(json_extract(body, '$.plan.steps[*]'), 1) as number,
            spec->>'$.id' as step
        from events
        where kind = 'plan.made'
    )
    group by run, step
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
