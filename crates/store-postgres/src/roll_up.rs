//! Moves executions into the rollups some time after they were recorded; recording and ending write nothing for
//! figures.
//!
//! One step is one transaction with one snapshot; the row lock on `usage_rolled_up` admits one process at a time. An
//! execution can become visible any time after its creation time, because its transaction may commit late. So a step
//! records the current time and its transaction id as a mark, and a later step moves what is older than the mark only
//! once every transaction that had begun to write before it has ended: nothing older can still become visible.
//!
//! `LATERAL (... OFFSET 0)` fixes the join order: for each row of the small side an index lookup on the large side.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use prompt_ledger_domain::VariantArray as _;
use prompt_ledger_domain::usage::{Bucket, Histogram, Tally};
use prompt_ledger_domain::{Error, Result, Timestamp};
use sqlx::Transaction;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::session::begin_list;
use super::statement::{parameters, rows, statement};
use super::timestamp::PgTimestamp;
use super::watched_pool::WatchedPool;
use super::{error, row};
use prompt_ledger_observe::serving::rolled_up;
use prompt_ledger_store::RollupPolicy;
use prompt_ledger_store::parameters::numbered;
use prompt_ledger_store::rollup::{self, add_latencies, add_steps, advance, floor, is_built};
use prompt_ledger_store::rows::LedgerRow as _;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::usage::tally;

const BEGIN: &str = begin_list!("ISOLATION LEVEL REPEATABLE READ");

/// The row, unless another process has locked it. A mark with a transaction id in the future comes from another
/// cluster, of which this one is a restored copy, and is ignored.
pub(super) const HOLD: &str = include_str!("sql/hold_rollups.sql");

/// Creation time of the first execution after the `crowd` oldest ones from `from` (inclusive) to `to` (exclusive); none
/// where there are no more.
pub(super) static AFTER_CROWD: LazyLock<String> =
    LazyLock::new(|| numbered(include_str!("sql/after_crowd.sql"), CrowdParameters::NAMES));

parameters! {
    CrowdParameters(from: Timestamp, to: Timestamp, crowd: usize) {
        from = PgTimestamp(from),
        to = PgTimestamp(to),
        crowd = count(crowd),
    }
}

/// Ended executions of `from`, grouped by minute and all other dimensions.
fn ended(from: &str) -> String {
    include_str!("sql/ended.sql").replace("{from}", from)
}

/// Ended executions created from `from` (inclusive) to `to` (exclusive).
pub(super) static SLICE: LazyLock<String> = LazyLock::new(|| {
    let sql = ended(
        "projects j CROSS JOIN LATERAL (SELECT x.* FROM executions x
        WHERE x.project_id = j.id AND x.created_at >= :from AND x.created_at < :to OFFSET 0)",
    );
    numbered(&sql, SliceParameters::NAMES)
});

/// Adds to the open executions those created from `from` (inclusive) to `to` (exclusive) that have not ended.
pub(super) static LEAVE: LazyLock<String> =
    LazyLock::new(|| numbered(include_str!("sql/open_executions.sql"), SliceParameters::NAMES));

parameters! {
    SliceParameters(from: Timestamp, to: Timestamp) {
        from = PgTimestamp(from),
        to = PgTimestamp(to),
    }
}

/// Open executions that have ended since.
pub(super) static LATE: LazyLock<String> = LazyLock::new(|| {
    ended(
        "usage_open_executions s
        CROSS JOIN LATERAL (SELECT x.* FROM executions x WHERE x.id = s.execution_id OFFSET 0)",
    )
});

/// Removes from the open executions those that have ended or no longer exist.
pub(super) const DONE: &str = include_str!("sql/forget_ended.sql");

/// The rollups of one span that start from `from` (inclusive) to `to` (exclusive).
pub(super) static SHORTER: LazyLock<String> = LazyLock::new(|| {
    let sql = concat!(include_str!("sql/rollup_columns.sql"), include_str!("sql/shorter_rollups.sql"));
    numbered(sql, ShorterParameters::NAMES)
});

parameters! {
    ShorterParameters(length: Bucket, from: Timestamp, to: Timestamp) {
        span = span(length),
        from = PgTimestamp(from),
        to = PgTimestamp(to),
    }
}

/// The existing rollups with these keys.
pub(super) static PRESENT: LazyLock<String> = LazyLock::new(|| {
    let sql = concat!(include_str!("sql/rollup_columns.sql"), include_str!("sql/present_rollups.sql"));
    statement(sql, KeyRows::COLUMNS, &[])
});

static WRITE: LazyLock<String> = LazyLock::new(|| {
    statement(include_str!("sql/write_rollups.sql"), &[KeyRows::COLUMNS, TallyRows::COLUMNS].concat(), &[])
});

rows! {
    KeyRows(rollup: (&Key, &Tally)) {
        project_id: uuid = rollup.0.project,
        prompt_id: uuid = rollup.0.prompt,
        span: int2 = rollup.0.span,
        start: timestamptz = PgTimestamp(rollup.0.start),
        version_id: uuid = rollup.0.version,
        provider: text = &rollup.0.words[0],
        model_name: text = &rollup.0.words[1],
        environment: text = &rollup.0.words[2],
        prompt_mode: text = &rollup.0.words[3],
        status: text = &rollup.0.words[4],
    }
}

rows! {
    TallyRows(rollup: (&Key, &Tally)) {
        executions: int8 = rollup.1.executions,
        prompt_tokens: int8 = rollup.1.prompt_tokens,
        response_tokens: int8 = rollup.1.response_tokens,
        with_cost: int8 = rollup.1.with_cost,
        cost_nano_usd: numeric = rollup.1.cost.to_string(),
        latency_sum: int8 = rollup.1.latency_sum,
        latencies: bytea = rollup::to_bytes(&rollup.1.latencies),
    }
}

/// Sets `until` to $1; if $2, sets the mark to the current transaction.
const MOVE: &str = include_str!("sql/move_rollups.sql");

/// The key of a rollup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    project: Uuid,
    /// Nil for the rollup of the whole project; `version` likewise.
    prompt: Uuid,
    span: i16,
    start: Timestamp,
    version: Uuid,
    /// Provider, model, environment, prompt mode, status.
    words: [String; 5],
}

type RollupRows = BTreeMap<Key, Tally>;
type RollupTransaction = Transaction<'static, sqlx::Postgres>;

/// The span column's value for a length: minutes.
pub(super) fn span(length: Bucket) -> i16 {
    match length {
        Bucket::Minute => 1,
        Bucket::Hour => 60,
        Bucket::Day => 1_440,
    }
}

pub(super) async fn step(pool: &WatchedPool, policy: RollupPolicy) -> Result<bool> {
    let mut step: RollupTransaction = error::walk(|| pool.begin_with(BEGIN)).await?;
    let held = match sqlx::query(HOLD).fetch_optional(&mut *step).await {
        Ok(Some(held)) => held,
        // Another process holds the row, or has changed it since the snapshot.
        Ok(None) => return Ok(false),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("40001") => return Ok(false),
        Err(error) => return Err(error::store(error)),
    };
    let now: Timestamp = row::value(&held, "now")?;
    let until: Timestamp = row::value(&held, "until")?;
    let settled = row::value(&held, "settled")?;
    let closed = match row::maybe::<_, _, Timestamp>(&held, "marked_at")? {
        Some(marked) if settled => marked.before(policy.settle),
        _ => until,
    };
    let next = after_crowd(&mut step, until, closed, policy.crowd).await?;
    let target =
        Timestamp(advance(rollup::STEP, until.0, closed.0, now.before(policy.keep).0, next.map(|next| next.0)));

    // Open executions are handled once there is nothing more to move: all of them are read. A crowd that waits may still be
    // younger than one step.
    let late = if next.is_none() || target == until { late(&mut step, until).await? } else { LateExecution::default() };
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
    let is_more = next.is_some() && until < target;
    // An old transaction that keeps the mark back is no rest.
    if mark && !is_more {
        rolled_up();
    }
    Ok(is_more)
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
    let query = CrowdParameters::query(&AFTER_CROWD, from, to, crowd);
    let next = query.fetch_optional(&mut **step).await.map_err(error::store)?;
    next.map(|next| row::value(&next, "created_at")).transpose()
}

/// Open executions that have ended.
#[derive(Default)]
struct LateExecution {
    rollups: RollupRows,
    /// Number of rows removed from the open executions.
    gone: u64,
}

async fn late(step: &mut RollupTransaction, until: Timestamp) -> Result<LateExecution> {
    let mut rollups = RollupRows::new();
    let rows = sqlx::query(LATE.as_str()).fetch_all(&mut **step).await.map_err(error::store)?;
    for row in &rows {
        let created: Timestamp = row::value(row, "start")?;
        let lengths = Bucket::VARIANTS.iter().copied().filter(|length| is_built(*length, created.0, until.0));
        add(&mut rollups, row, lengths)?;
    }
    let gone = sqlx::query(DONE).execute(&mut **step).await.map_err(error::store)?.rows_affected();
    Ok(LateExecution { rollups, gone })
}

/// Adds the ended executions created in a time span, and records the others as open.
async fn slice(step: &mut RollupTransaction, rollups: &mut RollupRows, from: Timestamp, to: Timestamp) -> Result<()> {
    let query = SliceParameters::query(&SLICE, from, to);
    for row in &query.fetch_all(&mut **step).await.map_err(error::store)? {
        add(rollups, row, [Bucket::Minute])?;
    }
    let leave = SliceParameters::query(&LEAVE, from, to);
    leave.execute(&mut **step).await.map(drop).map_err(error::store)
}

/// Adds executions of one minute to the rollups of these lengths: that of their version, and that of the project.
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

/// A sum of costs: an integer of any length, as text.
pub(super) fn cost(row: &PgRow) -> Result<i128> {
    row::text(row, "cost")?.parse().map_err(Error::internal)
}

fn stored(row: &PgRow) -> Result<Tally> {
    let mut latencies = Histogram::default();
    add_steps(&mut latencies, row.bytes("steps")?.unwrap_or_default());
    tally(row, cost(row)?, latencies)
}

/// Builds the rollups of hours or days that are over by `to` and were not by `from`.
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
    let query = ShorterParameters::query(&SHORTER, shorter, first, last);
    let mut rollups = RollupRows::new();
    for row in &query.fetch_all(&mut **step).await.map_err(error::store)? {
        let key = key(row, span(longer))?;
        let start = Timestamp(floor(key.start.0, longer.micros()));
        rollups.entry(Key { start, ..key }).or_default().add(&stored(row)?);
    }
    write(step, rollups, false).await
}

/// Writes rollups. With `present`, existing rollups with the same keys are added first.
async fn write(step: &mut RollupTransaction, mut rollups: RollupRows, present: bool) -> Result<()> {
    if rollups.is_empty() {
        return Ok(());
    }
    if present {
        let keys: Vec<_> = rollups.iter().collect();
        let query = KeyRows::bind(sqlx::query(PRESENT.as_str()), &keys);
        let rows = query.fetch_all(&mut **step).await.map_err(error::store)?;
        for row in &rows {
            let span: i16 = sqlx::Row::try_get(row, "span").map_err(error::store)?;
            rollups.entry(key(row, span)?).or_default().add(&stored(row)?);
        }
    }
    let rollups: Vec<_> = rollups.iter().collect();
    let write = TallyRows::bind(KeyRows::bind(sqlx::query(WRITE.as_str()), &rollups), &rollups);
    write.execute(&mut **step).await.map(drop).map_err(error::store)
}
