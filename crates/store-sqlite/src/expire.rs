//! Expiry of leases and of executions.

use std::sync::LazyLock;

use prompt_ledger_domain::execution::{ErrorType, Event, Status};
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::{Result, Timestamp};
use rusqlite::{Connection, Row};

use super::statement::{Script, parameters};
use super::{lease, now, row};
use prompt_ledger_store::Change;
use prompt_ledger_store::expiry::{Fate, LEFT, Left, fate};

/// Maximum number of executions per call.
const MOST: i64 = 500;

/// Executions that at a time are running with an expired lease, or queued past `expire_at`. `completed_at IS NULL`
/// repeats the condition of the partial index, without which SQLite does not use it.
fn left(columns: &str) -> String {
    include_str!("sql/left.sql").replace("{columns}", columns)
}

/// Whether there are any.
static ANY: LazyLock<Script> =
    LazyLock::new(|| Script::new(&format!("SELECT EXISTS ({}) AS found", left("1")), AnyLeftParameters::NAMES));

parameters! {
    AnyLeftParameters(at: Timestamp) {
        at = at.0,
    }
}

static ALL: LazyLock<Script> = LazyLock::new(|| {
    let sql = left(include_str!("sql/left_columns.sql")) + "LIMIT :most";
    Script::new(&sql, LeftParameters::NAMES)
});

parameters! {
    LeftParameters(at: Timestamp) {
        at = at.0,
        most = MOST,
    }
}

/// Gives an execution its new status; the attempt of a running one ends with the error of one that was left behind.
static APPLY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("sql/expire.sql"), ExpireParameters::NAMES));

parameters! {
    ExpireParameters(id: ExecutionId, fate: &Fate, at: Timestamp) {
        id = id.to_string(),
        at = at.0,
        becomes = <&str>::from(fate.status),
        error_type = fate.error.map(<&str>::from),
        message = Some(fate.message).filter(|message| !message.is_empty()),
        left_error_type = <&str>::from(ErrorType::Interrupted),
        left_message = LEFT,
    }
}

/// An execution that is left, and the sequence of its last event.
struct LeftExecution {
    id: ExecutionId,
    left: Left,
    last_sequence: i64,
}

/// Whether [`expire`] would find any. Runs on a read connection, because usually there is none.
pub(super) fn any(connection: &Connection) -> Result<bool> {
    Ok(ANY.row(connection, AnyLeftParameters::values(now()), |row| row::value(row, "found"))?.unwrap_or_default())
}

/// Writes the new states, one execution at a time: there are few.
pub(super) fn expire(connection: &Connection) -> Result<Vec<Change>> {
    let at = now();
    let left = ALL.rows(connection, LeftParameters::values(at), read)?;
    left.iter().map(|left| apply(connection, left, at)).collect()
}

fn read(row: &Row<'_>) -> Result<LeftExecution> {
    let left = Left {
        status: row::word(row, "status")?,
        mode: row::word(row, "mode")?,
        attempts: row::value(row, "attempts")?,
        handed_back: row::value(row, "handed_back")?,
        max_retries: row::value(row, "max_retries")?,
        cancel_requested: row::value(row, "cancel_requested")?,
        expired: row::value(row, "expired")?,
    };
    Ok(LeftExecution {
        id: ExecutionId(row::value(row, "id")?),
        left,
        last_sequence: row::value(row, "last_sequence")?,
    })
}

fn apply(connection: &Connection, execution: &LeftExecution, at: Timestamp) -> Result<Change> {
    let LeftExecution { id, left, last_sequence } = execution;
    let (id, fate) = (*id, fate(left));
    APPLY.execute(connection, ExpireParameters::values(id, &fate, at))?;
    let Fate { status, error, .. } = fate;
    if status.is_terminal() {
        lease::settle(connection, id)?;
    }
    let event = Event {
        sequence: last_sequence + 1,
        at,
        from: Some(left.status),
        to: status,
        attempt: left.attempts,
        error_type: error,
        next_attempt_at: (status == Status::Queued).then_some(at),
    };
    Ok(Change { id, event })
}

#[cfg(test)]
pub(super) fn scripts() -> [&'static Script; 3] {
    [&ANY, &ALL, &APPLY]
}
