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

/// Executions that at time $1 are running with an expired lease, or queued past `expire_at`. `status <> 'succeeded'`
/// repeats the condition of the partial index, without which SQLite does not use it.
macro_rules! left {
    ($columns:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM executions WHERE status = 'running' AND status <> 'succeeded' AND lease_until <= $1 UNION ALL SELECT ",
            $columns,
            " FROM executions WHERE status = 'queued' AND expire_at <= $1"
        )
    };
}

pub(super) const ANY: &str = concat!("SELECT EXISTS (", left!("1"), ")");

const ALL: &str = concat!(
    left!(
        "id, status, mode, attempts, handed_back, max_retries, last_sequence, \
         cancel_requested_at IS NOT NULL AS cancel_requested, coalesce(expire_at <= $1, 0) AS expired"
    ),
    " LIMIT $2"
);

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
    sqlx::query_scalar(ANY).bind(now().0).fetch_one(connection).await.map_err(error::store)
}

/// Writes the new states, one execution at a time: there are few.
pub(super) async fn expire(connection: &mut SqliteConnection) -> Result<Vec<Change>> {
    let at = now();
    let rows = sqlx::query(ALL).bind(at.0).bind(MOST).fetch_all(&mut *connection).await.map_err(error::store)?;
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
