//! Expiry of leases and of executions.

use std::sync::LazyLock;

use prompt_ledger_domain::execution::{ErrorType, Event, ExecutionMode, Status};
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::{Result, Timestamp};
use prompt_ledger_store::parameters;
use prompt_ledger_store::parameters::numbered;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::{error, lease, now, row};
use prompt_ledger_store::Change;
use prompt_ledger_store::expiry::{Fate, LEFT, Left, fate};

/// Maximum number of executions per call.
const MOST: i64 = 500;

/// Executions that at a time are running with an expired lease, or queued past `expire_at`. `status <> 'succeeded'`
/// repeats the condition of the partial index, without which SQLite does not use it.
fn left(columns: &str) -> String {
    include_str!("sql/left.sql").replace("{columns}", columns)
}

/// Whether there are any.
pub(super) static ANY: LazyLock<String> =
    LazyLock::new(|| numbered(&format!("SELECT EXISTS ({}) AS found", left("1")), AnyLeftParameters::NAMES));

parameters! {
    AnyLeftParameters(at: Timestamp) of sqlx::Sqlite {
        at = at.0,
    }
}

static ALL: LazyLock<String> = LazyLock::new(|| {
    let sql = left(include_str!("sql/left_columns.sql")) + "LIMIT :most";
    numbered(&sql, LeftParameters::NAMES)
});

parameters! {
    LeftParameters(at: Timestamp) of sqlx::Sqlite {
        at = at.0,
        most = MOST,
    }
}

/// Gives an execution its new status; the attempt of a running one ends with the error of one that was left behind.
static APPLY: LazyLock<String> = LazyLock::new(|| numbered(include_str!("sql/expire.sql"), ExpireParameters::NAMES));

parameters! {
    ExpireParameters(id: ExecutionId, fate: &Fate, at: Timestamp) of sqlx::Sqlite {
        id = id.to_string(),
        at = at.0,
        becomes = fate.status.as_str(),
        error_type = fate.error.map(ErrorType::as_str),
        message = Some(fate.message).filter(|message| !message.is_empty()),
        left_error_type = ErrorType::Interrupted.as_str(),
        left_message = LEFT,
    }
}

/// Whether [`expire`] would find any. Runs on a read connection, because usually there is none.
pub(super) async fn any(connection: &mut SqliteConnection) -> Result<bool> {
    let row = AnyLeftParameters::query(&ANY, now()).fetch_one(connection).await.map_err(error::store)?;
    row::value(&row, "found")
}

/// Writes the new states, one execution at a time: there are few.
pub(super) async fn expire(connection: &mut SqliteConnection) -> Result<Vec<Change>> {
    let at = now();
    let rows = LeftParameters::query(&ALL, at).fetch_all(&mut *connection).await.map_err(error::store)?;
    let mut changes = Vec::with_capacity(rows.len());
    for row in &rows {
        changes.push(apply(connection, row, at).await?);
    }
    Ok(changes)
}

async fn apply(connection: &mut SqliteConnection, row: &SqliteRow, at: Timestamp) -> Result<Change> {
    let left = Left {
        status: row::word(row, "status", Status::from_word)?,
        mode: row::word(row, "mode", ExecutionMode::from_word)?,
        attempts: row::value(row, "attempts")?,
        handed_back: row::value(row, "handed_back")?,
        max_retries: row::value(row, "max_retries")?,
        cancel_requested: row::value(row, "cancel_requested")?,
        expired: row::value(row, "expired")?,
    };
    let id = ExecutionId(row::value(row, "id")?);
    let fate = fate(&left);
    ExpireParameters::query(&APPLY, id, &fate, at).execute(&mut *connection).await.map_err(error::store)?;
    let Fate { status, error, .. } = fate;
    if status.is_terminal() {
        lease::settle(connection, id).await?;
    }
    let sequence: i64 = row::value(row, "last_sequence")?;
    let event = Event {
        sequence: sequence + 1,
        at,
        from: Some(left.status),
        to: status,
        attempt: left.attempts,
        error_type: error,
        next_attempt_at: (status == Status::Queued).then_some(at),
    };
    Ok(Change { id, event })
}
