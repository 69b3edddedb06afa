//! Reading one execution, and its events.

use prompt_ledger_domain::Result;
use prompt_ledger_domain::execution::{Execution, not_found};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use sqlx::PgPool;

use super::bind::count;
use super::error;
use crate::Event;
use crate::rows::execution::{attempts, execution, execution_select, maybe_event, text_columns, text_joins, texts};

/// Microseconds since 1970.
macro_rules! epoch {
    ($column:literal) => {
        concat!("(extract(epoch FROM ", $column, ") * 1000000)::int8")
    };
}

/// With every attempt that has ended, in one value.
pub(super) const WHOLE: &str = concat!(
    execution_select!(
        " JOIN",
        concat!(
            text_columns!(),
            ", (SELECT coalesce(json_agg(json_build_array(a.number, a.worker, ",
            epoch!("a.started_at"),
            ", ",
            epoch!("a.ended_at"),
            ", a.error_type, a.error_message, a.provider_request_id, a.prompt_tokens, a.cached_tokens, \
             a.response_tokens, a.latency_ms) ORDER BY a.number), '[]')::text \
             FROM execution_attempts a WHERE a.execution_id = x.id) AS attempt_log"
        ),
        "executions x",
        text_joins!()
    ),
    " WHERE x.id = $1 AND x.project_id IS NOT DISTINCT FROM $2"
);

/// The events of execution $1 after $3; one row without an event where it has none of them.
pub(super) const EVENTS: &str = "
    SELECT e.sequence, e.at, e.from_status, e.to_status, e.attempt, e.error_type, e.next_attempt_at
    FROM executions x LEFT JOIN execution_events e ON e.execution_id = x.id AND e.sequence > $3
    WHERE x.id = $1 AND x.project_id IS NOT DISTINCT FROM $2 ORDER BY e.sequence LIMIT $4";

/// The execution with texts and attempts.
pub(super) async fn get(pool: &PgPool, project: ProjectId, id: ExecutionId) -> Result<Execution> {
    let query = || sqlx::query(WHOLE).bind(id.0).bind(project.0).fetch_optional(pool);
    let row = error::again(query).await?.ok_or_else(|| not_found(id))?;
    Ok(Execution { texts: Some(texts(&row)?), attempt_log: attempts(&row)?, ..execution(&row)? })
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
        return Err(not_found(id));
    }
    rows.iter().filter_map(|row| maybe_event(row).transpose()).take(limit).collect()
}
