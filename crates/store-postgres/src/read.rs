//! Reads executions by id, and events.

use std::sync::LazyLock;

use prompt_ledger_domain::execution::Execution;
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Error, Result, Timestamp};

use super::error;
use super::statement::parameters;
use super::timestamp::PgTimestamp;
use super::watched_pool::WatchedPool;
use prompt_ledger_store::parameters::numbered;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::execution::{change, maybe_event, whole};
use prompt_ledger_store::{Change, Event};
use prompt_ledger_store::{execution_select, text_columns, text_joins};

/// The column that [`whole`] reads the attempts from: those that have ended, as one JSON array. Timestamps are
/// microseconds since 1970.
macro_rules! attempts_column {
    () => {
        concat!(", ", include_str!("sql/attempt_log.sql"))
    };
}

pub(super) const WHOLE: &str = concat!(
    execution_select!(" JOIN", concat!(text_columns!(), attempts_column!()), "executions x", text_joins!()),
    " WHERE x.id = $1 AND x.project_id IS NOT DISTINCT FROM $2"
);

/// Executions by a list of ids, without texts, and with.
pub(super) const WHOLE_OF: [&str; 2] = [
    concat!(execution_select!(" JOIN", attempts_column!(), "executions x", ""), " WHERE x.id = ANY ($1)"),
    concat!(
        execution_select!(" JOIN", concat!(text_columns!(), attempts_column!()), "executions x", text_joins!()),
        " WHERE x.id = ANY ($1)"
    ),
];

macro_rules! event_columns {
    () => {
        "SELECT e.execution_id, e.sequence, e.at, e.from_status, e.to_status, e.attempt, e.error_type, e.next_attempt_at"
    };
}

/// For each execution in $1 the events after the sequence in $2.
pub(super) const EVENTS_AFTER: &str = concat!(
    event_columns!(),
    " FROM unnest($1::uuid[], $2::int8[]) AS w (id, after)
      JOIN execution_events e ON e.execution_id = w.id AND e.sequence > w.after ORDER BY e.execution_id, e.sequence"
);

/// Events of all executions from `from` (inclusive) to `to` (exclusive).
pub(super) static EVENTS_BETWEEN: LazyLock<String> = LazyLock::new(|| {
    let sql = concat!(event_columns!(), " ", include_str!("sql/events_between.sql"));
    numbered(sql, BetweenParameters::NAMES)
});

parameters! {
    BetweenParameters(from: Timestamp, to: Timestamp, limit: usize) {
        from = PgTimestamp(from),
        to = PgTimestamp(to),
        most = count(limit),
    }
}

/// The events of an execution after a sequence; one row without an event where there are none.
pub(super) static EVENTS: LazyLock<String> =
    LazyLock::new(|| numbered(include_str!("sql/events.sql"), EventsParameters::NAMES));

parameters! {
    EventsParameters(project: ProjectId, id: ExecutionId, after: i64, limit: usize) {
        project_id = project.0,
        id = id.0,
        after = after,
        // The row without an event is read even where no event is asked for.
        most = count(limit).max(1),
    }
}

pub(super) async fn get(pool: &WatchedPool, project: ProjectId, id: ExecutionId) -> Result<Execution> {
    let query = || sqlx::query(WHOLE).bind(id.0).bind(project.0).fetch_optional(pool);
    let row = error::again(query).await?.ok_or_else(|| Error::execution_not_found(id))?;
    whole(&row, true)
}

pub(super) async fn whole_of(pool: &WatchedPool, ids: &[ExecutionId], texts: bool) -> Result<Vec<Execution>> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let query = || sqlx::query(WHOLE_OF[usize::from(texts)]).bind(&ids).fetch_all(pool);
    error::again(query).await?.iter().map(|row| whole(row, texts)).collect()
}

pub(super) async fn events_after(pool: &WatchedPool, cursors: &[(ExecutionId, i64)]) -> Result<Vec<Change>> {
    let (ids, after): (Vec<_>, Vec<_>) = cursors.iter().map(|(id, after)| (id.0, *after)).unzip();
    let query = || sqlx::query(EVENTS_AFTER).bind(&ids).bind(&after).fetch_all(pool);
    error::again(query).await?.iter().map(change).collect()
}

pub(super) async fn events_between(
    pool: &WatchedPool,
    start: Timestamp,
    end: Timestamp,
    limit: usize,
) -> Result<Vec<Change>> {
    let query = || BetweenParameters::query(&EVENTS_BETWEEN, start, end, limit).fetch_all(pool);
    error::again(query).await?.iter().map(change).collect()
}

pub(super) async fn clock(pool: &WatchedPool) -> Result<Timestamp> {
    let query = || sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(pool);
    let PgTimestamp(at) = error::again(query).await?;
    Ok(at)
}

pub(super) async fn events(
    pool: &WatchedPool,
    project: ProjectId,
    id: ExecutionId,
    after_sequence: i64,
    limit: usize,
) -> Result<Vec<Event>> {
    let query = || EventsParameters::query(&EVENTS, project, id, after_sequence, limit).fetch_all(pool);
    let rows = error::again(query).await?;
    if rows.is_empty() {
        return Err(Error::execution_not_found(id));
    }
    rows.iter().filter_map(|row| maybe_event(row).transpose()).take(limit).collect()
}
