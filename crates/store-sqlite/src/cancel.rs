//! Cancellation requests.

use prompt_ledger_domain::execution::{Event, Status};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Error, Result, Timestamp};
use sqlx::SqliteConnection;

use super::{error, lease, now, read, row};
use prompt_ledger_store::{Canceling, Fence};

/// Cancels a queued execution; sets the cancellation request of a running one that has none yet.
const CANCEL: &str = "
    INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt)
    SELECT id, last_sequence + 1, $3, status, 'canceled', attempts FROM executions
    WHERE id = $1 AND project_id = $2 AND status = 'queued';

    UPDATE executions SET cancel_requested_at = $3, cancel_reason = $4
    WHERE id = $1 AND project_id = $2 AND status = 'running' AND cancel_requested_at IS NULL;

    UPDATE executions SET status = 'canceled', completed_at = $3, available_at = NULL, last_sequence = last_sequence + 1,
        cancel_requested_at = $3, cancel_reason = $4
    WHERE id = $1 AND project_id = $2 AND status = 'queued'
    RETURNING last_sequence, attempts";

pub(super) const CANCELED_OF: &str = "
    SELECT x.id, x.attempts FROM json_each($1) AS held CROSS JOIN executions x ON x.id = held.value ->> 0
    WHERE x.attempts = held.value ->> 1 AND x.status = 'running' AND x.cancel_requested_at IS NOT NULL";

pub(super) async fn cancel(
    connection: &mut SqliteConnection,
    project: ProjectId,
    id: ExecutionId,
    reason: &str,
) -> Result<Canceling> {
    let at = now();
    let rows = sqlx::query(CANCEL)
        .bind(id.to_string())
        .bind(project.to_string())
        .bind(at.0)
        .bind(reason)
        .fetch_all(&mut *connection)
        .await
        .map_err(error::store)?;
    let event = match rows.first() {
        Some(row) => Some(canceled(row::value(row, "last_sequence")?, at, row::value(row, "attempts")?)),
        None => None,
    };
    if event.is_some() {
        lease::settle(connection, id).await?;
    }
    let execution = read::get(connection, project, id).await?;
    match execution.status {
        Status::Succeeded | Status::Failed => Err(Error::execution_finished(id, execution.status)),
        Status::Queued | Status::Running | Status::Canceled => Ok(Canceling { execution, event }),
    }
}

fn canceled(sequence: i64, at: Timestamp, attempt: i32) -> Event {
    Event {
        sequence,
        at,
        from: Some(Status::Queued),
        to: Status::Canceled,
        attempt,
        error_type: None,
        next_attempt_at: None,
    }
}

/// Those with a cancellation request.
pub(super) async fn canceled_of(connection: &mut SqliteConnection, held: &[Fence]) -> Result<Vec<Fence>> {
    let pairs: Vec<_> = held.iter().map(|fence| (fence.id.to_string(), fence.attempt)).collect();
    let rows = sqlx::query(CANCELED_OF).bind(row::to_json(&pairs)?).fetch_all(connection).await;
    let fence = |row| Ok(Fence { id: ExecutionId(row::value(row, "id")?), attempt: row::value(row, "attempts")? });
    rows.map_err(error::store)?.iter().map(fence).collect()
}
