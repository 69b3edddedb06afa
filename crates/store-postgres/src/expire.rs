//! Expiry of leases and of executions. Candidates are read, their new states decided, and all written in one statement,
//! which skips those that have since had an event, a cancellation request or a heartbeat.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::execution::ErrorType;
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_store::parameters::numbered;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::batch::patiently;
use super::cost::{OF_EXECUTION, with_cost};
use super::kept::KeptConnections;
use super::statement::{micros, parameters, rows, statement};
use super::watched_pool::WatchedPool;
use super::{error, row};
use prompt_ledger_store::Change;
use prompt_ledger_store::expiry::{Fate, LEFT, Left, fate};
use prompt_ledger_store::rows::execution::maybe_event;

/// Maximum number of executions per call.
const MOST: i64 = 500;

/// Up to [`MOST`] executions that are running with an expired lease, or queued past `expire_at`; none while the server
/// has been up for less than a lease. The conditions between repeat those of the partial index. The
/// current time is a scalar subquery, so that the index can be used.
pub(super) static LEFT_BEHIND: LazyLock<String> =
    LazyLock::new(|| numbered(include_str!("sql/left.sql"), LeftParameters::NAMES));

parameters! {
    LeftParameters(lease: Duration) {
        lease = micros(lease),
        most = MOST,
    }
}

/// Writes the new states of executions whose last event and cancellation request are as they were read. The attempts of
/// running ones end with the error that is bound after the rows.
pub(super) static EXPIRE: LazyLock<String> = LazyLock::new(|| {
    let sql = with_cost(include_str!("sql/expire.sql"), "e.price_id", OF_EXECUTION);
    statement(&sql, ExpiredRows::COLUMNS, &["left_error_type", "left_message"])
});

rows! {
    ExpiredRows(found: ExpiredRow) {
        id: uuid = found.id,
        last_sequence: int8 = found.last_sequence,
        cancel_requested: boolean = found.cancel_requested,
        becomes: text = <&str>::from(found.fate.status),
        error_type: text = found.fate.error.map(<&str>::from),
        message: text = Some(found.fate.message).filter(|message| !message.is_empty()),
    }
}

pub(super) struct ExpiredRow {
    id: Uuid,
    last_sequence: i64,
    cancel_requested: bool,
    fate: Fate,
}

/// Writes all of them. If the response is lost, the repetition skips the executions that were written; their changes
/// are then missing from the result and have to be read from the events.
pub(super) async fn expire(writes: &KeptConnections, calls: &WatchedPool, lease: Duration) -> Result<Vec<Change>> {
    let query = || LeftParameters::query(&LEFT_BEHIND, lease).fetch_all(calls);
    let rows = error::again(query).await?;
    let found: Vec<_> = rows.iter().map(found).collect::<Result<_>>()?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let found = &found;
    let rows = patiently(|_| apply(writes, found)).await?;
    let mut changes = HashMap::with_capacity(rows.len());
    for row in &rows {
        if let Some(event) = maybe_event(row)? {
            let id = ExecutionId(row::value(row, "execution_id")?);
            changes.insert(id, Change { id, event });
        }
    }
    Ok(changes.into_values().collect())
}

fn found(row: &PgRow) -> Result<ExpiredRow> {
    let left = Left {
        status: row::word(row, "status")?,
        mode: row::word(row, "mode")?,
        attempts: row::value(row, "attempts")?,
        handed_back: row::value(row, "handed_back")?,
        max_retries: row::value(row, "max_retries")?,
        cancel_requested: row::value(row, "cancel_requested")?,
        expired: row::value(row, "expired")?,
    };
    Ok(ExpiredRow {
        id: row::value(row, "id")?,
        last_sequence: row::value(row, "last_sequence")?,
        cancel_requested: left.cancel_requested,
        fate: fate(&left),
    })
}

async fn apply(pool: &KeptConnections, all: &[ExpiredRow]) -> Result<Vec<PgRow>> {
    let query = ExpiredRows::bind(sqlx::query(EXPIRE.as_str()), all);
    pool.fetch_all(query.bind(<&str>::from(ErrorType::Interrupted)).bind(LEFT)).await.map_err(error::store)
}
