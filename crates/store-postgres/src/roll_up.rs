//! Moving executions into the rollups, some time after they were recorded: nothing is written when they are recorded or end.
//!
//! One step is one transaction with one snapshot, and one process makes it at a time: it holds the row of `usage_rolled_up`.
//! An execution has its time of creation before its transaction becomes visible, however long the commit takes. So a step
//! notes the moment and its own transaction, and only when all that began to write before this one have ended, what is
//! older than that moment is moved: nothing can still appear there.
//!
//! `LATERAL (... OFFSET 0)` says which side is walked: the few, and for each of them an index of the many.

use std::collections::BTreeMap;

use prompt_ledger_domain::usage::{Bucket, Histogram, Tally};
use prompt_ledger_domain::{Error, Result, Timestamp};
use sqlx::postgres::{PgBindIterExt, PgRow};
use sqlx::{PgPool, Transaction};
use uuid::Uuid;

use super::bind::each;
use super::timestamp::PgTimestamp;
use super::{error, row};
use prompt_ledger_store::RollupPolicy;
use prompt_ledger_store::rollup::{self, add_latencies, add_steps, advance, floor, is_built};
use prompt_ledger_store::rows::LedgerRow as _;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::usage::tally;

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ";

/// The row, unless another process is at it. A mark that lies ahead was made in another cluster, from which this one was
/// restored: it is none.
pub(super) const HOLD: &str = "
    SELECT until, marked_at, coalesce(marked_xid < pg_snapshot_xmax(pg_current_snapshot()), false) AS marked,
        now() AS now, coalesce(pg_snapshot_xmin(pg_current_snapshot()) >= marked_xid, false) AS settled
    FROM usage_rolled_up FOR UPDATE SKIP LOCKED";

/// The first one after so many ($3) from $1 to before $2; nothing where there are no more.
pub(super) const AFTER_CROWD: &str = "
    SELECT x.created_at FROM projects j CROSS JOIN LATERAL (
        SELECT e.created_at FROM executions e
        WHERE e.project_id = j.id AND e.created_at >= $1 AND e.created_at < $2 ORDER BY e.created_at LIMIT $3 + 1) x
    ORDER BY x.created_at OFFSET $3 LIMIT 1";

/// Ended executions by the minute and all else that they have in common.
macro_rules! ended {
    ($from:literal) => {
        concat!(
            "SELECT e.project_id, e.prompt_id, date_trunc('minute', e.created_at, 'UTC') AS start, e.version_id, e.provider,
                e.model_name, e.environment, e.prompt_mode, e.status, count(*) AS executions,
                coalesce(sum(e.prompt_tokens), 0)::int8 AS prompt_tokens,
                coalesce(sum(e.response_tokens), 0)::int8 AS response_tokens, count(e.cost_nano_usd) AS with_cost,
                coalesce(sum(e.cost_nano_usd), 0)::text AS cost, coalesce(sum(e.latency_ms), 0)::int8 AS latency_sum,
                string_agg(int4send(e.latency_ms), '') AS latencies
            FROM ",
            $from,
            " AND e.completed_at IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9"
        )
    };
}

/// Of those created from $1 to before $2.
pub(super) const SLICE: &str = ended!(
    "projects j CROSS JOIN LATERAL (SELECT x.* FROM executions x
                WHERE x.project_id = j.id AND x.created_at >= $1 AND x.created_at < $2 OFFSET 0) e
            WHERE true"
);

/// Of those that had not ended when their time was moved.
pub(super) const LATE: &str = ended!(
    "usage_open_executions s CROSS JOIN LATERAL (SELECT x.* FROM executions x WHERE x.id = s.execution_id OFFSET 0) e
            WHERE true"
);

/// Lets those go, and whatever is gone.
pub(super) const DONE: &str = "
    DELETE FROM usage_open_executions s WHERE NOT EXISTS (
        SELECT FROM executions e WHERE e.id = s.execution_id AND e.completed_at IS NULL)";

/// Notes those created from $1 to before $2 that have not ended.
pub(super) const LEAVE: &str = "
    INSERT INTO usage_open_executions (execution_id, project_id, created_at)
    SELECT e.id, e.project_id, e.created_at
    FROM projects j CROSS JOIN LATERAL (SELECT x.* FROM executions x
        WHERE x.project_id = j.id AND x.created_at >= $1 AND x.created_at < $2 OFFSET 0) e
    WHERE e.completed_at IS NULL";

macro_rules! rollup_columns {
    () => {
        "SELECT u.project_id, u.prompt_id, u.span, u.start, u.version_id, u.provider, u.model_name, u.environment, \
         u.prompt_mode, u.status, u.executions, u.prompt_tokens, u.response_tokens, u.with_cost, \
         u.cost_nano_usd::text AS cost, u.latency_sum, u.latencies AS steps"
    };
}

/// Every rollup of span $1 that starts from $2 to before $3.
pub(super) const SHORTER: &str = concat!(
    rollup_columns!(),
    " FROM projects j
    CROSS JOIN LATERAL (SELECT uuid_nil.id FROM (VALUES ('00000000-0000-0000-0000-000000000000'::uuid)) AS uuid_nil (id)
        UNION ALL SELECT p.id FROM prompts p WHERE p.project_id = j.id) w
    CROSS JOIN LATERAL (SELECT x.* FROM usage_rollups x WHERE x.project_id = j.id AND x.prompt_id = w.id
        AND x.span = $1 AND x.start >= $2 AND x.start < $3 OFFSET 0) u"
);

macro_rules! keys {
    () => {
        "unnest($1::uuid[], $2::uuid[], $3::int2[], $4::timestamptz[], $5::uuid[], $6::text[], $7::text[], $8::text[], \
         $9::text[], $10::text[]"
    };
}

/// Those of these keys that are there.
pub(super) const PRESENT: &str = concat!(
    rollup_columns!(),
    " FROM ",
    keys!(),
    ") AS k (project_id, prompt_id, span, start, version_id, provider, model_name, environment, prompt_mode, status)
    CROSS JOIN LATERAL (SELECT x.* FROM usage_rollups x WHERE x.project_id = k.project_id
        AND x.prompt_id = k.prompt_id AND x.span = k.span AND x.start = k.start AND x.version_id = k.version_id
        AND x.provider = k.provider AND x.model_name = k.model_name AND x.environment = k.environment
        AND x.prompt_mode = k.prompt_mode AND x.status = k.status OFFSET 0) u"
);

const WRITE: &str = concat!(
    "INSERT INTO usage_rollups (project_id, prompt_id, span, start, version_id, provider, model_name, environment,
        prompt_mode, status, executions, prompt_tokens, response_tokens, with_cost, cost_nano_usd, latency_sum, latencies)
    SELECT * FROM ",
    keys!(),
    ", $11::int8[], $12::int8[], $13::int8[], $14::int8[], $15::numeric[], $16::int8[], $17::bytea[])
    ON CONFLICT (project_id, prompt_id, span, start, version_id, provider, model_name, environment, prompt_mode, status)
    DO UPDATE SET executions = excluded.executions, prompt_tokens = excluded.prompt_tokens,
        response_tokens = excluded.response_tokens, with_cost = excluded.with_cost,
        cost_nano_usd = excluded.cost_nano_usd, latency_sum = excluded.latency_sum, latencies = excluded.latencies"
);

/// Moves the moment to $1; and where $2, marks this one.
const MOVE: &str = "
    UPDATE usage_rolled_up SET until = $1, marked_at = CASE WHEN $2 THEN now() ELSE marked_at END,
        marked_xid = CASE WHEN $2 THEN pg_current_xact_id() ELSE marked_xid END";

/// What a rollup is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    project: Uuid,
    /// Zeros for all prompts together.
    prompt: Uuid,
    span: i16,
    start: Timestamp,
    version: Uuid,
    /// Provider, model, environment, mode, status.
    words: [String; 5],
}

type RollupRows = BTreeMap<Key, Tally>;
type RollupTransaction = Transaction<'static, sqlx::Postgres>;

/// How a length stands in a rollup: in minutes.
pub(super) fn span(length: Bucket) -> i16 {
    match length {
        Bucket::Minute => 1,
        Bucket::Hour => 60,
        Bucket::Day => 1_440,
    }
}

pub(super) async fn step(pool: &PgPool, pace: RollupPolicy) -> Result<bool> {
    let mut step: RollupTransaction = error::walk(|| pool.begin_with(BEGIN)).await?;
    let held = match sqlx::query(HOLD).fetch_optional(&mut *step).await {
        Ok(Some(held)) => held,
        // Another process is at it, or has just been.
        Ok(None) => return Ok(false),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("40001") => return Ok(false),
        Err(error) => return Err(error::store(error)),
    };
    let now: Timestamp = row::value(&held, "now")?;
    let until: Timestamp = row::value(&held, "until")?;
    let settled = row::value(&held, "settled")?;
    let closed = match row::maybe::<_, _, Timestamp>(&held, "marked_at")? {
        Some(marked) if settled => marked.before(pace.settle),
        _ => until,
    };
    let next = after_crowd(&mut step, until, closed, pace.crowd).await?;
    let target = Timestamp(advance(until.0, closed.0, now.before(pace.keep).0, next.map(|next| next.0)));

    // They wait where there is much to catch up on: all of them are looked at.
    let late = if next.is_none() { late(&mut step, until).await? } else { LateExecution::default() };
    let mut minutes = late.rollups;
    if until < target {
        slice(&mut step, &mut minutes, until, target).await?;
    }
    let mark = settled || !row::value(&held, "marked")?;
    if minutes.is_empty() && target == until && !mark && late.gone == 0 {
        return Ok(false);
    }
    write(&mut step, minutes, true).await?;
    for (shorter, longer) in [(Bucket::Minute, Bucket::Hour), (Bucket::Hour, Bucket::Day)] {
        build(&mut step, shorter, longer, until, target).await?;
    }
    sqlx::query(MOVE).bind(PgTimestamp(target)).bind(mark).execute(&mut *step).await.map_err(error::store)?;
    error::commit(step).await?;
    Ok(next.is_some() && until < target)
}

async fn after_crowd(
    step: &mut RollupTransaction,
    from: Timestamp,
    to: Timestamp,
    crowd: usize,
) -> Result<Option<Timestamp>> {
    if from >= to {
        return Ok(None);
    }
    let query = sqlx::query_scalar(AFTER_CROWD).bind(PgTimestamp(from)).bind(PgTimestamp(to)).bind(count(crowd));
    let next: Option<PgTimestamp> = query.fetch_optional(&mut **step).await.map_err(error::store)?;
    Ok(next.map(|next| next.0))
}

/// What of the open executions has ended.
#[derive(Default)]
struct LateExecution {
    rollups: RollupRows,
    /// How many are no longer open.
    gone: u64,
}

async fn late(step: &mut RollupTransaction, until: Timestamp) -> Result<LateExecution> {
    let mut rollups = RollupRows::new();
    let rows = sqlx::query(LATE).fetch_all(&mut **step).await.map_err(error::store)?;
    for row in &rows {
        let created: Timestamp = row::value(row, "start")?;
        let lengths = Bucket::ALL.iter().copied().filter(|length| is_built(*length, created.0, until.0));
        add(&mut rollups, row, lengths)?;
    }
    let gone = sqlx::query(DONE).execute(&mut **step).await.map_err(error::store)?.rows_affected();
    Ok(LateExecution { rollups, gone })
}

/// Adds what was created in a time, and notes what of it has not ended.
async fn slice(step: &mut RollupTransaction, rollups: &mut RollupRows, from: Timestamp, to: Timestamp) -> Result<()> {
    let query = sqlx::query(SLICE).bind(PgTimestamp(from)).bind(PgTimestamp(to));
    for row in &query.fetch_all(&mut **step).await.map_err(error::store)? {
        add(rollups, row, [Bucket::Minute])?;
    }
    sqlx::query(LEAVE)
        .bind(PgTimestamp(from))
        .bind(PgTimestamp(to))
        .execute(&mut **step)
        .await
        .map_err(error::store)?;
    Ok(())
}

/// Adds executions of one minute to the rollups of these lengths: of their version, and of the project.
fn add(rollups: &mut RollupRows, row: &PgRow, lengths: impl IntoIterator<Item = Bucket>) -> Result<()> {
    let mut latencies = Histogram::default();
    add_latencies(&mut latencies, row.bytes("latencies")?.unwrap_or_default());
    let tally = tally(row, cost(row)?, latencies)?;
    let minute = key(row, span(Bucket::Minute))?;
    for length in lengths {
        let start = Timestamp(floor(minute.start.0, length.micros()));
        let of_version = Key { span: span(length), start, ..minute.clone() };
        let of_project = Key { prompt: Uuid::nil(), version: Uuid::nil(), ..of_version.clone() };
        for key in [of_version, of_project] {
            rollups.entry(key).or_default().add(&tally);
        }
    }
    Ok(())
}

fn key(row: &PgRow, span: i16) -> Result<Key> {
    let words = ["provider", "model_name", "environment", "prompt_mode", "status"];
    let [provider, model, environment, mode, status] = words.map(|word| row::value::<_, _, String>(row, word));
    Ok(Key {
        project: row::value(row, "project_id")?,
        prompt: row::value(row, "prompt_id")?,
        span,
        start: row::value(row, "start")?,
        version: row::value(row, "version_id")?,
        words: [provider?, model?, environment?, mode?, status?],
    })
}

/// Money as the database adds it up: a whole number of any length, as text.
pub(super) fn cost(row: &PgRow) -> Result<i128> {
    row::text(row, "cost")?.parse().map_err(Error::internal)
}

/// A rollup as it is stored.
fn stored(row: &PgRow) -> Result<Tally> {
    let mut latencies = Histogram::default();
    add_steps(&mut latencies, row.bytes("steps")?.unwrap_or_default());
    tally(row, cost(row)?, latencies)
}

/// Adds the hours or days up that are over by `to` and were not by `from`.
async fn build(
    step: &mut RollupTransaction,
    shorter: Bucket,
    longer: Bucket,
    from: Timestamp,
    to: Timestamp,
) -> Result<()> {
    let [first, last] = [from, to].map(|at| Timestamp(floor(at.0, longer.micros())));
    if first == last {
        return Ok(());
    }
    let query = sqlx::query(SHORTER).bind(span(shorter)).bind(PgTimestamp(first)).bind(PgTimestamp(last));
    let mut rollups = RollupRows::new();
    for row in &query.fetch_all(&mut **step).await.map_err(error::store)? {
        let key = key(row, span(longer))?;
        let start = Timestamp(floor(key.start.0, longer.micros()));
        rollups.entry(Key { start, ..key }).or_default().add(&stored(row)?);
    }
    write(step, rollups, false).await
}

/// Writes rollups, with what is there already where some may be.
async fn write(step: &mut RollupTransaction, mut rollups: RollupRows, present: bool) -> Result<()> {
    if rollups.is_empty() {
        return Ok(());
    }
    if present {
        let rows = with_keys(PRESENT, &rollups).fetch_all(&mut **step).await.map_err(error::store)?;
        for row in &rows {
            let span: i16 = sqlx::Row::try_get(row, "span").map_err(error::store)?;
            rollups.entry(key(row, span)?).or_default().add(&stored(row)?);
        }
    }
    with_keys(WRITE, &rollups)
        .bind(each!(rollups, |rollup| rollup.1.executions))
        .bind(each!(rollups, |rollup| rollup.1.prompt_tokens))
        .bind(each!(rollups, |rollup| rollup.1.response_tokens))
        .bind(each!(rollups, |rollup| rollup.1.with_cost))
        .bind(each!(rollups, |rollup| rollup.1.cost.to_string()))
        .bind(each!(rollups, |rollup| rollup.1.latency_sum))
        .bind(each!(rollups, |rollup| rollup::to_bytes(&rollup.1.latencies)))
        .execute(&mut **step)
        .await
        .map_err(error::store)?;
    Ok(())
}

fn with_keys(
    sql: &'static str,
    rollups: &RollupRows,
) -> sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments> {
    sqlx::query(sql)
        .bind(each!(rollups, |rollup| rollup.0.project))
        .bind(each!(rollups, |rollup| rollup.0.prompt))
        .bind(each!(rollups, |rollup| rollup.0.span))
        .bind(each!(rollups, |rollup| PgTimestamp(rollup.0.start)))
        .bind(each!(rollups, |rollup| rollup.0.version))
        .bind(each!(rollups, |rollup| &rollup.0.words[0]))
        .bind(each!(rollups, |rollup| &rollup.0.words[1]))
        .bind(each!(rollups, |rollup| &rollup.0.words[2]))
        .bind(each!(rollups, |rollup| &rollup.0.words[3]))
        .bind(each!(rollups, |rollup| &rollup.0.words[4]))
}
