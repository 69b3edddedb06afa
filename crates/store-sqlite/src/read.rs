//! Reads executions by id, and events.

use prompt_ledger_domain::execution::Execution;
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Error, Result, Timestamp};
use sqlx::SqliteConnection;

use super::{error, row};
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::execution::{change, maybe_event, whole};
use prompt_ledger_store::{Change, Event};
use prompt_ledger_store::{execution_select, text_columns, text_joins};

/// The column that `rows::execution::attempts` reads: the attempts that have ended, as one JSON array.
macro_rules! attempts_column {
    () => {
        ", (SELECT json_group_array(json_array(number, worker, started_at, ended_at, error_type, error_message, \
         provider_request_id, prompt_tokens, cached_prompt_tokens, response_tokens, latency_ms) ORDER BY number) \
         FROM execution_attempts WHERE execution_id = x.id) AS attempt_log"
    };
}
pub(super) const WHOLE: &str = concat!(
    execution_select!(" CROSS JOIN", concat!(text_columns!(), attempts_column!()), "executions x", text_joins!()),
    " WHERE x.id = $1 AND x.project_id = $2"
);

/// Executions by a list of ids, without texts, and with.
const WHOLE_OF: [&str; 2] = [
    execution_select!(
        " CROSS JOIN",
        attempts_column!(),
        "json_each($1) w CROSS JOIN executions x ON x.id = w.value",
        ""
    ),
    execution_select!(
        " CROSS JOIN",
        concat!(text_columns!(), attempts_column!()),
        "json_each($1) w CROSS JOIN executions x ON x.id = w.value",
        text_joins!()
    ),
];

macro_rules! event_columns {
    () => {
        "SELECT e.execution_id, e.sequence, e.at, e.from_status, e.to_status, e.attempt, e.error_type, e.next_attempt_at"
    };
}

/// For each [id, sequence] of a JSON array the execution's events after the sequence.
const EVENTS_AFTER: &str = concat!(
    event_columns!(),
    " FROM json_each($1) w CROSS JOIN execution_events e
      ON e.execution_id = w.value ->> 0 AND e.sequence > w.value ->> 1 ORDER BY e.execution_id, e.sequence"
);

const EVENTS_BETWEEN: &str = concat!(
    event_columns!(),
    " FROM execution_events e WHERE e.at >= $1 AND e.at < $2 ORDER BY e.at, e.execution_id, e.sequence LIMIT $3"
);

/// The events of execution $1 after sequence $3; one row without an event where there are none.
pub(super) const EVENTS: &str = "
    SELECT e.sequence, e.at, e.from_status, e.to_status, e.attempt, e.error_type, e.next_attempt_at
    FROM executions x LEFT JOIN execution_events e ON e.execution_id = x.id AND e.sequence > $3
    WHERE x.id = $1 AND x.project_id = $2 ORDER BY e.sequence LIMIT $4";

pub(super) async fn get(connection: &mut SqliteConnection, project: ProjectId, id: ExecutionId) -> Result<Execution> {
    let row = sqlx::query(WHOLE)
        .bind(id.to_string())
        .bind(project.to_string())
        .fetch_optional(connection)
        .await
        .map_err(error::store)?
        .ok_or_else(|| Error::execution_not_found(id))?;
    whole(&row, true)
}

pub(super) async fn whole_of(
    connection: &mut SqliteConnection,
    ids: &[ExecutionId],
    texts: bool,
) -> Result<Vec<Execution>> {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    let query = sqlx::query(WHOLE_OF[usize::from(texts)]).bind(row::to_json(&ids)?);
    let rows = query.fetch_all(connection).await.map_err(error::store)?;
    rows.iter().map(|row| whole(row, texts)).collect()
}

pub(super) async fn events_after(
    connection: &mut SqliteConnection,
    cursors: &[(ExecutionId, i64)],
) -> Result<Vec<Change>> {
    let cursors: Vec<_> = cursors.iter().map(|(id, after)| (id.to_string(), after)).collect();
    let query = sqlx::query(EVENTS_AFTER).bind(row::to_json(&cursors)?);
    query.fetch_all(connection).await.map_err(error::store)?.iter().map(change).collect()
}

pub(super) async fn events_between(
    connection: &mut SqliteConnection,
    start: Timestamp,
    end: Timestamp,
    limit: usize,
) -> Result<Vec<Change>> {
    let limit = count(limit);
    let query = sqlx::query(EVENTS_BETWEEN).bind(start.0).bind(end.0).bind(limit);
    query.fetch_all(connection).await.map_err(error::store)?.iter().map(change).collect()
}

pub(super) async fn events(
    connection: &mut SqliteConnection,
    project: ProjectId,
    id: ExecutionId,
    after_sequence: i64,
    limit: usize,
) -> Result<Vec<Event>> {
    let rows = sqlx::query(EVENTS)
        .bind(id.to_string())
        .bind(project.to_string())
        .bind(after_sequence)
        .bind(count(limit).max(1))
        .fetch_all(connection)
        .await
        .map_err(error::store)?;
    if rows.is_empty() {
        return Err(Error::execution_not_found(id));
    }
    rows.iter().filter_map(|row| maybe_event(row).transpose()).take(limit).collect()
}
