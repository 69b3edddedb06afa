//! What happens when a lease runs out or a life is over. They are read, their fates decided, and all written in one
//! statement that takes only those which are still as they were read: no event has come since, no wish, no sign of life.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::execution::{ErrorType, ExecutionMode, Status};
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_store::parameters;
use prompt_ledger_store::parameters::numbered;
use sqlx::PgPool;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::batch::patiently;
use super::bind::{micros, rows, statement};
use super::cost::with_cost;
use super::{error, row};
use prompt_ledger_store::Change;
use prompt_ledger_store::expiry::{Fate, LEFT, Left, fate};
use prompt_ledger_store::rows::execution::maybe_event;

/// How many are dealt with at once.
const MOST: i64 = 500;

/// At most so many whose holder's time is over, or the life of one that is queued; none while the database is younger than
/// a lease. The second condition of the first is the index's own. The moment is a value of its own, for which an index can
/// be walked.
pub(super) static LEFT_BEHIND: LazyLock<String> =
    LazyLock::new(|| numbered(include_str!("sql/left.sql"), LeftParameters::NAMES));

parameters! {
    LeftParameters(lease: Duration) of sqlx::Postgres {
        lease = micros(lease),
        most = MOST,
    }
}

/// What becomes of executions that are at this event and wish; the attempts of those that were running end with the error
/// that is bound after them.
pub(super) static EXPIRE: LazyLock<String> = LazyLock::new(|| {
    let tokens = ["e.prompt_tokens", "e.cached_prompt_tokens", "e.response_tokens"];
    let sql = with_cost(include_str!("sql/expire.sql"), "e.price_id", tokens);
    statement(&sql, ExpiredRows::COLUMNS, &["left_error_type", "left_message"])
});

rows! {
    ExpiredRows(found: ExpiredRow) {
        id: uuid = found.id,
        last_sequence: int8 = found.last_sequence,
        cancel_requested: boolean = found.cancel_requested,
        becomes: text = found.fate.status.as_str(),
        error_type: text = found.fate.error.map(ErrorType::as_str),
        message: text = Some(found.fate.message).filter(|message| !message.is_empty()),
    }
}

/// An execution and what becomes of it.
pub(super) struct ExpiredRow {
    id: Uuid,
    last_sequence: i64,
    cancel_requested: bool,
    fate: Fate,
}

/// Deals with all of them. Those whose answer was lost are found ended by the repetition, and told by their events alone.
pub(super) async fn expire(writes: &PgPool, calls: &PgPool, lease: Duration) -> Result<Vec<Change>> {
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
        status: row::word(row, "status", Status::from_word)?,
        mode: row::word(row, "mode", ExecutionMode::from_word)?,
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

async fn apply(pool: &PgPool, all: &[ExpiredRow]) -> Result<Vec<PgRow>> {
    ExpiredRows::bind(sqlx::query(EXPIRE.as_str()), all)
        .bind(ErrorType::Interrupted.as_str())
        .bind(LEFT)
        .fetch_all(pool)
        .await
        .map_err(error::store)
}
