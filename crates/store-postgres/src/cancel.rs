//! Asking for an execution's end. Asking twice changes nothing, so a lost answer is asked for again.

use prompt_ledger_domain::execution::{Event, Execution, Status};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Error, Result};
use sqlx::postgres::PgBindIterExt;
use sqlx::{PgPool, postgres::PgRow};

use super::batch::patiently;
use super::bind::{clean, each};
use super::cost::cost;
use super::{error, lease, read};
use prompt_ledger_store::rows::execution::maybe_event;
use prompt_ledger_store::{Canceling, Fence};

/// A queued execution ends, and this is its event; a running one that carries no wish yet carries this one.
pub(super) const CANCEL: &str = concat!(
    "WITH found AS (
        SELECT e.id, e.status = 'queued' AS ends, clock_timestamp() AS at FROM executions e
        WHERE e.id = $1 AND e.project_id IS NOT DISTINCT FROM $2 AND e.status IN ('queued', 'running') AND e.cancel_requested_at IS NULL
        FOR NO KEY UPDATE OF e
    ), asked AS (
        UPDATE executions e SET cancel_requested_at = f.at, cancel_reason = $3,
            status = CASE WHEN f.ends THEN 'canceled' ELSE e.status END,
            completed_at = CASE WHEN f.ends THEN f.at END,
            available_at = CASE WHEN NOT f.ends THEN e.available_at END,
            last_sequence = e.last_sequence + f.ends::int4,
            cost_nano_usd = CASE WHEN f.ends THEN ",
    cost!("e.price_id", "e.prompt_tokens", "e.cached_tokens", "e.response_tokens"),
    " END
        FROM found f WHERE e.id = f.id
        RETURNING e.id, e.last_sequence, e.attempts, f.ends, f.at
    )
    INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt)
    SELECT id, last_sequence, at, 'queued', 'canceled', attempts FROM asked WHERE ends
    RETURNING sequence, at, from_status, to_status, attempt, error_type, next_attempt_at"
);

pub(super) const CANCELED_OF: &str = "
    SELECT e.id, e.attempts FROM unnest($1::uuid[], $2::int4[]) AS n (id, attempt)
    JOIN executions e ON e.id = n.id AND e.attempts = n.attempt
    WHERE e.status IS NOT DISTINCT FROM 'running' AND e.cancel_requested_at IS NOT NULL";

pub(super) async fn cancel(
    writes: &PgPool,
    calls: &PgPool,
    project: ProjectId,
    id: ExecutionId,
    reason: &str,
) -> Result<Canceling> {
    let (execution, event) = patiently(|_| async move {
        let event = ask(writes, project, id, reason).await?;
        Ok((read::get(calls, project, id).await?, event))
    })
    .await?;
    answer(id, execution, event)
}

fn answer(id: ExecutionId, execution: Execution, event: Option<Event>) -> Result<Canceling> {
    match execution.status {
        Status::Succeeded | Status::Failed => Err(Error::execution_finished(id, execution.status)),
        Status::Queued | Status::Running | Status::Canceled => Ok(Canceling { execution, event }),
    }
}

async fn ask(pool: &PgPool, project: ProjectId, id: ExecutionId, reason: &str) -> Result<Option<Event>> {
    let row: Option<PgRow> = sqlx::query(CANCEL)
        .bind(id.0)
        .bind(project.0)
        .bind(clean(reason))
        .fetch_optional(pool)
        .await
        .map_err(error::store)?;
    row.as_ref().map_or(Ok(None), maybe_event)
}

/// Those whose end someone asked for.
pub(super) async fn canceled_of(pool: &PgPool, held: &[Fence]) -> Result<Vec<Fence>> {
    let query = || {
        sqlx::query(CANCELED_OF)
            .bind(each!(held, |fence| fence.id.0))
            .bind(each!(held, |fence| fence.attempt))
            .fetch_all(pool)
    };
    error::again(query).await?.iter().map(lease::fence).collect()
}
