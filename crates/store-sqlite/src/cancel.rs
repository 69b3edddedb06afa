//! Cancellation requests.

use std::sync::LazyLock;

use prompt_ledger_domain::execution::{Event, Status};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Error, Result, Timestamp};
use rusqlite::{Connection, Row, ToSql};

use super::statement::{Script, parameters};
use super::{lease, now, read, row};
use prompt_ledger_store::{Canceling, Fence};

/// Cancels a queued execution; sets the cancellation request of a running one that has none yet.
static CANCEL: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/cancel.sql"), CancelParameters::NAMES));

parameters! {
    CancelParameters(project: ProjectId, id: ExecutionId, at: Timestamp, reason: &str) {
        id = id.to_string(),
        project_id = project.to_string(),
        at = at.0,
        reason = reason,
    }
}

/// Those of a JSON array of [id, attempt] that have a cancellation request.
static CANCELED_OF: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("sql/canceled_of.sql"), &["held"]));

pub(super) fn cancel(connection: &Connection, project: ProjectId, id: ExecutionId, reason: &str) -> Result<Canceling> {
    let at = now();
    let event = CANCEL.row(connection, CancelParameters::values(project, id, at, reason), |row| canceled(row, at))?;
    if event.is_some() {
        lease::settle(connection, id)?;
    }
    let execution = read::get(connection, project, id)?;
    match execution.status {
        Status::Succeeded | Status::Failed => Err(Error::execution_finished(id, execution.status)),
        Status::Queued | Status::Running | Status::Canceled => Ok(Canceling { execution, event }),
    }
}

fn canceled(row: &Row<'_>, at: Timestamp) -> Result<Event> {
    Ok(Event {
        sequence: row::value(row, "last_sequence")?,
        at,
        from: Some(Status::Queued),
        to: Status::Canceled,
        attempt: row::value(row, "attempts")?,
        error_type: None,
        next_attempt_at: None,
    })
}

/// Those with a cancellation request.
pub(super) fn canceled_of(connection: &Connection, held: &[Fence]) -> Result<Vec<Fence>> {
    let pairs: Vec<_> = held.iter().map(|fence| (fence.id.to_string(), fence.attempt)).collect();
    CANCELED_OF.rows(connection, [&row::to_json(&pairs)? as &dyn ToSql], |row| {
        Ok(Fence { id: ExecutionId(row::value(row, "id")?), attempt: row::value(row, "attempts")? })
    })
}

#[cfg(test)]
pub(super) fn scripts() -> [&'static Script; 2] {
    [&CANCEL, &CANCELED_OF]
}
