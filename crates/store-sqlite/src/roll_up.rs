//! Moves executions into the rollups some time after they were recorded; recording and ending write nothing for
//! figures.
//!
//! What a step moves is decided on a read connection; it is then moved by jobs of [`AT_ONCE`] executions each, between
//! which other writes run. A job adds its executions to the rollups of their minute, hour and day at once: there is
//! nothing to build later that would take the writer longer. One process writes, and an execution has its creation time
//! inside of its transaction, so nothing older can become visible later. Where the clock was set back, a recording adds itself to the open executions.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use prompt_ledger_domain::VariantArray as _;
use prompt_ledger_domain::usage::{Bucket, Tally};
use prompt_ledger_domain::{Result, Timestamp};
use rusqlite::{Connection, Row, ToSql};

use super::row::at;
use super::statement::{Script, parameters};
use super::{now, tally};
use prompt_ledger_store::RollupPolicy;
use prompt_ledger_store::rollup::{self, add_steps, advance, floor};
use prompt_ledger_store::rows::count;

/// Number of executions that one job moves. In a release build a job takes the writer 1 to 3 ms.
pub(super) const AT_ONCE: usize = 64;

/// What a step moves.
#[derive(Debug)]
pub(super) enum RollupStep {
    /// The executions of a project created before a time.
    Before(String, Timestamp),
    /// Open executions that have ended or no longer exist, by their ids.
    Late(Vec<String>),
}

static PROJECTS: LazyLock<Script> = LazyLock::new(|| {
    let sql = "SELECT p.id, coalesce(u.until, 0) FROM projects p LEFT JOIN usage_rolled_up u ON u.project_id = p.id";
    Script::new(sql, &[])
});

static UNTIL: LazyLock<Script> =
    LazyLock::new(|| Script::new("SELECT until FROM usage_rolled_up WHERE project_id = :project", &["project"]));

/// Creation time of the first execution after the `skip` oldest ones of a time span.
static AFTER: LazyLock<Script> = LazyLock::new(|| {
    let sql = include_str!("sql/after.sql");
    Script::new(sql, AfterParameters::NAMES)
});

parameters! {
    AfterParameters(project: &str, start: Timestamp, stop: Timestamp, skip: usize) {
        project = project,
        start = start.0,
        stop = stop.0,
        skip = count(skip),
    }
}

/// Open executions that have ended or no longer exist.
static ENDED: LazyLock<Script> = LazyLock::new(|| {
    let sql = include_str!("sql/ended_since.sql");
    Script::new(sql, &["most"])
});

/// The ended executions of a time span.
static SLICE: LazyLock<Script> = LazyLock::new(|| {
    let sql = concat!(
        include_str!("sql/moved.sql"),
        "FROM executions e INDEXED BY executions_project WHERE e.project_id = :project AND e.created_at >= :start \
         AND e.created_at < :stop AND e.completed_at IS NOT NULL"
    );
    Script::new(sql, SliceParameters::NAMES)
});

/// Adds those that have not ended to the open executions.
static LEAVE: LazyLock<Script> = LazyLock::new(|| {
    let sql = include_str!("sql/leave_open.sql");
    Script::new(sql, SliceParameters::NAMES)
});

parameters! {
    SliceParameters(project: &str, start: Timestamp, stop: Timestamp) {
        project = project,
        start = start.0,
        stop = stop.0,
    }
}

static MOVE: LazyLock<Script> = LazyLock::new(|| {
    let sql = include_str!("sql/move_rollups.sql");
    Script::new(sql, &["project", "until"])
});

/// An execution, if it has ended.
static ONE: LazyLock<Script> = LazyLock::new(|| {
    let sql =
        concat!(include_str!("sql/moved.sql"), "FROM executions e WHERE e.id = :id AND e.completed_at IS NOT NULL");
    Script::new(sql, &["id"])
});

/// Removes an open execution that has ended or no longer exists.
static DONE: LazyLock<Script> = LazyLock::new(|| {
    let sql = include_str!("sql/forget_ended.sql");
    Script::new(sql, &["id"])
});

static SERIES: LazyLock<Script> = LazyLock::new(|| {
    let sql = include_str!("sql/series_id.sql");
    Script::new(sql, SeriesParameters::NAMES)
});

static ADD_SERIES: LazyLock<Script> = LazyLock::new(|| {
    let sql = include_str!("sql/add_series.sql");
    Script::new(sql, SeriesParameters::NAMES)
});

parameters! {
    SeriesParameters(series: &Series) {
        project = &series.project,
        prompt = &series.prompt,
        version = &series.version,
        provider = &series.words[0],
        model = &series.words[1],
        environment = &series.words[2],
        mode = &series.words[3],
        status = &series.words[4],
    }
}

static PRESENT: LazyLock<Script> = LazyLock::new(|| {
    let sql = concat!(
        "SELECT ",
        tally::sums!(),
        " FROM usage_rollups WHERE series = :series AND span = :span AND start = :start"
    );
    Script::new(sql, &["series", "span", "start"])
});

static WRITE: LazyLock<Script> = LazyLock::new(|| {
    let sql = concat!(
        "INSERT OR REPLACE INTO usage_rollups (series, span, start, ",
        tally::sums!(),
        ") VALUES (:series, :span, :start, :executions, :prompt_tokens, :response_tokens, :with_cost, :cost_high, \
         :cost_low, :latency_sum, :latencies)"
    );
    Script::new(sql, WriteParameters::NAMES)
});

parameters! {
    WriteParameters(series: i64, rollup: RollupKey, tally: &Tally, cost: (i64, i64)) {
        series = series,
        span = rollup.0,
        start = rollup.1,
        executions = tally.executions,
        prompt_tokens = tally.prompt_tokens,
        response_tokens = tally.response_tokens,
        with_cost = tally.with_cost,
        cost_high = cost.0,
        cost_low = cost.1,
        latency_sum = tally.latency_sum,
        latencies = rollup::to_bytes(&tally.latencies),
    }
}

/// Of the rollups of one series: the value of the span column, and the start.
type RollupKey = (i64, i64);

/// What the executions of a rollup have in common besides their time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    project: String,
    /// Empty for the whole project; `version` likewise.
    prompt: String,
    version: String,
    /// Provider, model, environment, prompt mode, status. In a total the first three are empty.
    words: [String; 5],
}

type SeriesRollups = BTreeMap<Series, BTreeMap<RollupKey, Tally>>;

/// The span column's value for a length: minutes.
pub(super) fn span(length: Bucket) -> i64 {
    length.micros() / Bucket::Minute.micros()
}

/// The time up to which the project's executions were moved.
pub(super) fn until(connection: &Connection, project: &str) -> Result<Timestamp> {
    let until = UNTIL.row(connection, [&project as &dyn ToSql], |row| at(row, 0))?;
    Ok(Timestamp(until.unwrap_or_default()))
}

/// The next step; none where there is nothing to move. Open executions wait until all others were moved.
pub(super) fn plan(connection: &Connection, policy: RollupPolicy) -> Result<Option<RollupStep>> {
    let now = now();
    let (closed, lazy) = (now.before(policy.settle), now.before(policy.keep));
    let projects = PROJECTS.rows(connection, [], |row| Ok((at::<String>(row, 0)?, Timestamp(at(row, 1)?))))?;
    for (project, until) in projects {
        let after = |skip| AFTER.row(connection, AfterParameters::values(&project, until, closed, skip), time);
        let Some(first) = after(0)? else { continue };
        let next = after(policy.crowd)?.map(|next| next.0);
        let to = Timestamp(advance(1, until.0, closed.0, lazy.0, next));
        if first < to {
            return Ok(Some(RollupStep::Before(project, to)));
        }
    }
    let late = ENDED.rows(connection, [&count(policy.crowd) as &dyn ToSql], |row| at(row, 0))?;
    Ok((!late.is_empty()).then_some(RollupStep::Late(late)))
}

fn time(row: &Row<'_>) -> Result<Timestamp> {
    Ok(Timestamp(at(row, 0)?))
}

/// Moves the oldest executions created before `to`. Returns whether there are more of them.
pub(super) fn slice(connection: &Connection, project: &str, to: Timestamp) -> Result<bool> {
    let from = until(connection, project)?;
    if from >= to {
        return Ok(false);
    }
    let next = AFTER.row(connection, AfterParameters::values(project, from, to, AT_ONCE), time)?;
    // Executions of one microsecond are moved together.
    let stop = next.map_or(to, |next| next.max(Timestamp(from.0 + 1)));
    let mut rollups = SeriesRollups::new();
    SLICE.each(connection, SliceParameters::values(project, from, stop), |row| add(&mut rollups, row))?;
    LEAVE.execute(connection, SliceParameters::values(project, from, stop))?;
    write(connection, rollups)?;
    MOVE.execute(connection, [&project as &dyn ToSql, &stop.0])?;
    Ok(stop < to)
}

/// Moves these open executions as far as they have ended, and forgets those that no longer exist.
pub(super) fn late(connection: &Connection, ids: &[String]) -> Result<()> {
    let mut rollups = SeriesRollups::new();
    for id in ids {
        // Not where another call has moved it since.
        if DONE.execute(connection, [id as &dyn ToSql])? > 0 {
            ONE.each(connection, [id as &dyn ToSql], |row| add(&mut rollups, row))?;
        }
    }
    write(connection, rollups)
}

/// Adds an execution to the rollups of its minute, hour and day: those of its version, those of the project, and the
/// project's totals.
fn add(rollups: &mut SeriesRollups, row: &Row<'_>) -> Result<ControlFlow<()>> {
    let (mut tally, latency) = tally::single(row, 8)?;
    if let Some(latency) = latency {
        tally.latencies.record(latency);
    }
    let created: i64 = at(row, 0)?;
    let of_version = Series {
        project: at(row, 12)?,
        prompt: at(row, 1)?,
        version: at(row, 2)?,
        words: [at(row, 3)?, at(row, 4)?, at(row, 5)?, at(row, 6)?, at(row, 7)?],
    };
    let of_project = Series { prompt: String::new(), version: String::new(), ..of_version.clone() };
    let [.., mode, status] = of_version.words.clone();
    let words = [String::new(), String::new(), String::new(), mode, status];
    let in_total = Series { words, ..of_project.clone() };
    for series in [of_version, of_project, in_total] {
        let starts = rollups.entry(series).or_default();
        for length in Bucket::VARIANTS {
            starts.entry((span(*length), floor(created, length.micros()))).or_default().add(&tally);
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Adds these sums to the stored ones.
fn write(connection: &Connection, rollups: SeriesRollups) -> Result<()> {
    for (series, starts) in rollups {
        let number = number(connection, &series)?;
        for (rollup, mut tally) in starts {
            PRESENT.each(connection, [&number as &dyn ToSql, &rollup.0, &rollup.1], |row| {
                let (present, steps) = tally::rollup(row, 0)?;
                tally.add(&present);
                add_steps(&mut tally.latencies, steps);
                Ok(ControlFlow::Continue(()))
            })?;
            let halves = tally::halves(tally.cost)?;
            WRITE.execute(connection, WriteParameters::values(number, rollup, &tally, halves))?;
        }
    }
    Ok(())
}

/// The number of a series, which it gets at its first use.
fn number(connection: &Connection, series: &Series) -> Result<i64> {
    for script in [&SERIES, &ADD_SERIES] {
        if let Some(number) = script.row(connection, SeriesParameters::values(series), |row| at(row, 0))? {
            return Ok(number);
        }
    }
    Err(super::row::corrupt("usage_series.id"))
}

#[cfg(test)]
pub(super) fn scripts() -> [&'static Script; 12] {
    [&UNTIL, &AFTER, &ENDED, &SLICE, &LEAVE, &MOVE, &ONE, &DONE, &SERIES, &ADD_SERIES, &PRESENT, &WRITE]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::database;

    const PROJECT: &str = "01900000-0000-7000-8000-000000000001";

    /// Ended executions of microseconds 1 to `?1`, in versions and prompts that do not exist.
    const FILL: &str = "
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
        INSERT INTO executions (id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider,
            model_name, prompt_truncated, timeout_micros, max_retries, attempts, last_sequence, created_at, completed_at)
        SELECT n, ?2, n % 7, n % 9, 'full', 'async', 'succeeded', '', 'openai', 'a', 0, 0, 0, 1, 1, n, n FROM n";

    #[test]
    fn a_job_moves_no_more_than_its_share_however_many_wait() {
        let (_directory, connection) = database();
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        connection.execute(FILL, (200, PROJECT)).unwrap();
        let moved = || {
            let sql = "SELECT coalesce(sum(executions), 0) FROM usage_rollups WHERE span = 1";
            connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() / 3
        };
        for (more, expected) in [(true, 64), (true, 128), (true, 192), (false, 200), (false, 200)] {
            assert_eq!(slice(&connection, PROJECT, Timestamp(1_000)).unwrap(), more);
            assert_eq!(moved(), expected);
        }
        assert_eq!(until(&connection, PROJECT).unwrap(), Timestamp(1_000));
    }
}
