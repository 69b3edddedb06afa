//! Reading one execution, and its events.

use prompt_ledger_domain::Result;
use prompt_ledger_domain::execution::{Execution, not_found};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use sqlx::SqliteConnection;

use super::error;
use crate::Event;
use crate::rows::execution::{attempts, execution, execution_select, maybe_event, text_columns, text_joins, texts};

/// The column that [`attempts`] reads: every attempt that has ended, in one value.
macro_rules! attempts_column {
    () => {
        ", (SELECT json_group_array(json_array(number, worker, started_at, ended_at, error_type, error_message, \
         provider_request_id, prompt_tokens, cached_tokens, response_tokens, latency_ms) ORDER BY number) \
         FROM execution_attempts WHERE execution_id = x.id) AS attempt_log"
    };
}
pub(super) const WHOLE: &str = concat!(
    execution_select!(" CROSS JOIN", concat!(text_columns!(), attempts_column!()), "executions x", text_joins!()),
    " WHERE x.id = $1 AND x.project_id = $2"
);

/// The events of execution $1 after $3; one row without an event where it has none of them.
pub(super) const EVENTS: &str = "
    SELECT e.sequence, e.at, e.from_status, e.to_status, e.attempt, e.error_type, e.next_attempt_at
    FROM executions x LEFT JOIN execution_events e ON e.execution_id = x.id AND e.sequence > $3
    WHERE x.id = $1 AND x.project_id = $2 ORDER BY e.sequence LIMIT $4";

/// The execution with texts and attempts.
pub(super) async fn get(connection: &mut SqliteConnection, project: ProjectId, id: ExecutionId) -> Result<Execution> {
    let row = sqlx::query(WHOLE)
        .bind(id.to_string())
        .bind(project.to_string())
        .fetch_optional(connection)
        .await
        .map_err(error::store)?
        .ok_or_else(|| not_found(id))?;
    Ok(Execution { texts: Some(texts(&row)?), attempt_log: attempts(&row)?, ..execution(&row)? })
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
        .bind(i64::try_from(limit).unwrap_or(i64::MAX).max(1))
        .fetch_all(connection)
        .await
        .map_err(error::store)?;
    if rows.is_empty() {
        return Err(not_found(id));
    }
    rows.iter().filter_map(|row| maybe_event(row).transpose()).take(limit).collect()
}
