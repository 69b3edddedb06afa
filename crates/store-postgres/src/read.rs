//! Reads executions by id, and events.

use prompt_ledger_domain::execution::Execution;
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Error, Result, Timestamp};
use sqlx::PgPool;

use super::error;
use super::timestamp::PgTimestamp;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::execution::{change, maybe_event, whole};
use prompt_ledger_store::{Change, Event};
use prompt_ledger_store::{execution_select, text_columns, text_joins};

/// Microseconds since 1970.
macro_rules! epoch {
    ($column:literal) => {
        concat!("(extract(epoch FROM ", $column, ") * 1000000)::int8")
    };
}

/// The column that [`whole`] reads the attempts from: those that have ended, as one JSON array.
macro_rules! attempts_column {
    () => {
        concat!(
            ", (SELECT coalesce(json_agg(json_build_array(a.number, a.worker, ",
            epoch!("a.started_at"),
            ", ",
            epoch!("a.ended_at"),
            ", a.error_type, a.error_message, a.provider_request_id, a.prompt_tokens, a.cached_prompt_tokens, \
             a.response_tokens, a.latency_ms) ORDER BY a.number), '[]')::text \
             FROM execution_attempts a WHERE a.execution_id = x.id) AS attempt_log"
        )
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

pub(super) const EVENTS_BETWEEN: &str = concat!(
    event_columns!(),
    " FROM execution_events e WHERE e.at >= $1 AND e.at < $2 ORDER BY e.at, e.execution_id, e.sequence LIMIT $3"
);

/// The events of execution $1 after sequence $3; one row without an event where there are none.
pub(super) const EVENTS: &str = "
    SELECT e.sequence, e.at, e.from_status, e.to_status, e.attempt, e.error_type, e.next_attempt_at
    FROM executions x LEFT JOIN execution_events e ON e.execution_id = x.id AND e.sequence > $3
    WHERE x.id = $1 AND x.project_id IS NOT DISTINCT FROM $2 ORDER BY e.sequence LIMIT $4";

pub(super) async fn get(pool: &PgPool, project: ProjectId, id: ExecutionId) -> Result<Execution> {
    let query = || sqlx::query(WHOLE).bind(id.0).bind(project.0).fetch_optional(pool);
    let row = error::again(query).await?.ok_or_else(|| Error::execution_not_found(id))?;
    whole(&row, true)
}

pub(super) async fn whole_of(pool: &PgPool, ids: &[ExecutionId], texts: bool) -> Result<Vec<Execution>> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let query = || sqlx::query(WHOLE_OF[usize::from(texts)]).bind(&ids).fetch_all(pool);
    error::again(query).await?.iter().map(|row| whole(row, texts)).collect()
}

pub(super) async fn events_after(pool: &PgPool, cursors: &[(ExecutionId, i64)]) -> Result<Vec<Change>> {
    let (ids, after): (Vec<_>, Vec<_>) = cursors.iter().map(|(id, after)| (id.0, *after)).unzip();
    let query = || sqlx::query(EVENTS_AFTER).bind(&ids).bind(&after).fetch_all(pool);
    error::again(query).await?.iter().map(change).collect()
}

pub(super) async fn events_between(
    pool: &PgPool,
    start: Timestamp,
    end: Timestamp,
    limit: usize,
) -> Result<Vec<Change>> {
    let query = || {
        sqlx::query(EVENTS_BETWEEN).bind(PgTimestamp(start)).bind(PgTimestamp(end)).bind(count(limit)).fetch_all(pool)
    };
    error::again(query).await?.iter().map(change).collect()
}

pub(super) async fn clock(pool: &PgPool) -> Result<Timestamp> {
    let query = || sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(pool);
    let PgTimestamp(at) = error::again(query).await?;
    Ok(at)
}

pub(super) async fn events(
    pool: &PgPool,
    project: ProjectId,
    id: ExecutionId,
    after_sequence: i64,
    limit: usize,
) -> Result<Vec<Event>> {
    let query = || {
        sqlx::query(EVENTS).bind(id.0).bind(project.0).bind(after_sequence).bind(count(limit).max(1)).fetch_all(pool)
    };
    let rows = error::again(query).await?;
    if rows.is_empty() {
        return Err(Error::execution_not_found(id));
    }
    rows.iter().filter_map(|row| maybe_event(row).transpose()).take(limit).collect()
}
