//! What happens when a lease runs out or a life is over. They are read, their fates decided, and all written in one
//! statement that takes only those which are still as they were read: no event has come since, no wish, no sign of life.

use std::collections::HashMap;
use std::time::Duration;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::execution::{ErrorType, ExecutionMode, Status};
use prompt_ledger_domain::ids::ExecutionId;
use sqlx::PgPool;
use sqlx::postgres::{PgBindIterExt, PgRow};
use uuid::Uuid;

use super::batch::patiently;
use super::bind::{each, micros};
use super::cost::cost;
use super::{error, row};
use prompt_ledger_store::Change;
use prompt_ledger_store::expiry::{Fate, LEFT, Left, fate};
use prompt_ledger_store::rows::execution::maybe_event;

/// How many are dealt with at once.
const MOST: i64 = 500;

/// One of the two kinds. The moment is a value of its own, for which an index can be walked.
macro_rules! left {
    ($which:literal) => {
        concat!(
            "(SELECT e.id, e.status, e.mode, e.attempts, e.handed_back, e.max_retries, e.last_sequence, \
             e.cancel_requested_at IS NOT NULL AS cancel_requested, \
             coalesce(e.expire_at <= clock_timestamp(), false) AS expired FROM executions e WHERE ",
            $which,
            " <= (SELECT clock_timestamp()) AND (SELECT clock_timestamp() - pg_postmaster_start_time()) \
             >= $1 * interval '1 microsecond' LIMIT $2)"
        )
    };
}

/// At most $2 whose holder's time is over, or the life of one that is queued; none while the database is younger than $1
/// microseconds. The second condition of the first is the index's own.
pub(super) const ALL: &str = concat!(
    left!("e.status = 'running' AND e.status <> 'succeeded' AND e.lease_until"),
    " UNION ALL ",
    left!("e.status = 'queued' AND e.expire_at"),
    " LIMIT $2"
);

/// Executions $1 that are at event $2 and wish $3 become $4, with error $5 and message $6; the attempts of those that were
/// running end with $7 and $8.
pub(super) const APPLY: &str = concat!(
    "WITH found AS (
        SELECT e.id, e.status AS was, e.worker, e.attempt_started_at, clock_timestamp() AS at,
            n.becomes, n.error_type, n.message
        FROM unnest($1::uuid[], $2::int8[], $3::boolean[], $4::text[], $5::text[], $6::text[])
            AS n (id, last_sequence, cancel_requested, becomes, error_type, message)
        JOIN executions e ON e.id = n.id
        WHERE e.last_sequence = n.last_sequence AND (e.cancel_requested_at IS NOT NULL) = n.cancel_requested
            AND CASE e.status WHEN 'running' THEN e.lease_until <= clock_timestamp()
                WHEN 'queued' THEN e.expire_at <= clock_timestamp() ELSE false END
        ORDER BY e.id FOR NO KEY UPDATE OF e SKIP LOCKED
    ), ended AS (
        UPDATE executions e SET status = f.becomes, last_sequence = e.last_sequence + 1, lease_until = NULL,
            available_at = CASE WHEN f.becomes = 'queued' THEN f.at END,
            completed_at = CASE WHEN f.becomes <> 'queued' THEN f.at END,
            error_type = CASE WHEN f.becomes <> 'queued' THEN f.error_type END,
            error_message = CASE WHEN f.becomes <> 'queued' THEN f.message END,
            provider_request_id = CASE WHEN f.was = 'running' THEN '' ELSE e.provider_request_id END,
            cost_nano_usd = CASE WHEN f.becomes <> 'queued' THEN ",
    cost!("e.price_id", "e.prompt_tokens", "e.cached_tokens", "e.response_tokens"),
    " END
        FROM found f WHERE e.id = f.id AND (e.status = 'queued' OR e.lease_until <= clock_timestamp())
        RETURNING e.id, f.was, f.becomes, f.error_type, f.at, e.last_sequence, e.attempts, f.worker,
            f.attempt_started_at AS begun_at
    ), attempts AS (
        INSERT INTO execution_attempts (execution_id, number, worker, started_at, ended_at, error_type, error_message,
            provider_request_id)
        SELECT id, attempts, worker, begun_at, at, $7, $8, '' FROM ended WHERE was = 'running'
    )
    INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt, error_type,
        next_attempt_at)
    SELECT id, last_sequence, at, was, becomes, attempts, error_type, CASE WHEN becomes = 'queued' THEN at END FROM ended
    RETURNING execution_id, sequence, at, from_status, to_status, attempt, error_type, next_attempt_at"
);

/// An execution and what becomes of it.
struct ExpiredRow {
    id: Uuid,
    last_sequence: i64,
    cancel_requested: bool,
    fate: Fate,
}

/// Deals with all of them. Those whose answer was lost are found ended by the repetition, and told by their events alone.
pub(super) async fn expire(writes: &PgPool, calls: &PgPool, lease: Duration) -> Result<Vec<Change>> {
    let query = || sqlx::query(ALL).bind(micros(lease)).bind(MOST).fetch_all(calls);
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
    sqlx::query(APPLY)
        .bind(each!(all, |found| found.id))
        .bind(each!(all, |found| found.last_sequence))
        .bind(each!(all, |found| found.cancel_requested))
        .bind(each!(all, |found| found.fate.status.as_str()))
        .bind(each!(all, |found| found.fate.error.map(ErrorType::as_str)))
        .bind(each!(all, |found| Some(found.fate.message).filter(|message| !message.is_empty())))
        .bind(ErrorType::Interrupted.as_str())
        .bind(LEFT)
        .fetch_all(pool)
        .await
        .map_err(error::store)
}
