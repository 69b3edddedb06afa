//! Cancellation requests.

use std::sync::LazyLock;

use prompt_ledger_domain::execution::{Event, Status};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Error, Result, Timestamp};
use prompt_ledger_store::parameters;
use prompt_ledger_store::parameters::numbered;
use sqlx::SqliteConnection;

use super::{error, lease, now, read, row};
use prompt_ledger_store::{Canceling, Fence};

/// Cancels a queued execution; sets the cancellation request of a running one that has none yet.
static CANCEL: LazyLock<String> = LazyLock::new(|| numbered(include_str!("sql/cancel.sql"), CancelParameters::NAMES));

parameters! {
    CancelParameters(project: ProjectId, id: ExecutionId, at: Timestamp, reason: &str) of sqlx::Sqlite {
        id = id.to_string(),
        project_id = project.to_string(),
        at = at.0,
        reason = reason,
    }
}

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
    let query = CancelParameters::query(&CANCEL, project, id, at, reason);
    let rows = query.fetch_all(&mut *connection).await.map_err(error::store)?;
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
