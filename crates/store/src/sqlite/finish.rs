//! Ending an attempt, and with it the execution or not. Every statement tests the fence by itself; the last one moves
//! it, so that those before it all see the same execution.

use std::time::Duration;

use prompt_ledger_domain::execution::{ErrorType, Event, Status};
use prompt_ledger_domain::{Result, Timestamp};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Sqlite, SqliteConnection};

use super::{error, lease, now, row};
use crate::{Ended, Fence, Finish, Holder, Requeue};

/// Attempt $2 of execution $1 is running.
macro_rules! fenced {
    () => {
        " WHERE id = $1 AND attempts = $2 AND status = 'running'"
    };
}

/// The row of the attempt that ends at $3: $4 error, $5 provider's id, $6 to $8 usage, $9 latency, $10 error message.
macro_rules! end_attempt {
    () => {
        concat!(
            "INSERT INTO execution_attempts (execution_id, number, worker, started_at, ended_at, error_type,
                 provider_request_id, prompt_tokens, cached_tokens, response_tokens, latency_ms, error_message)
             SELECT id, attempts, worker, attempt_started_at, $3, $4, $5, $6, $7, $8, $9, $10 FROM executions",
            fenced!(),
            ";"
        )
    };
}

/// What the attempt adds to the execution: sums that stay absent until something is told, and what was last.
macro_rules! add_attempt {
    () => {
        "prompt_tokens = CASE WHEN $6 IS NULL THEN prompt_tokens
                         ELSE min(coalesce(prompt_tokens, 0) + $6, 2147483647) END,
         cached_tokens = CASE WHEN $7 IS NULL THEN cached_tokens
                         ELSE min(coalesce(cached_tokens, 0) + $7, 2147483647) END,
         response_tokens = CASE WHEN $8 IS NULL THEN response_tokens
                           ELSE min(coalesce(response_tokens, 0) + $8, 2147483647) END,
         provider_request_id = $5, latency_ms = coalesce($9, latency_ms), last_sequence = last_sequence + 1"
    };
}

const FINISH: &str = concat!(
    end_attempt!(),
    "INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt, error_type)
     SELECT id, last_sequence + 1, $3, status, $11, attempts, $12 FROM executions",
    fenced!(),
    ";",
    "INSERT INTO execution_outputs (execution_id, response_text) SELECT id, $13 FROM executions",
    fenced!(),
    " AND $13 <> '';",
    "UPDATE executions SET status = $11, error_type = $12, error_message = $14, response_truncated = $15,
         finish_reason = $16, cost_nano_usd = $17, completed_at = $3, lease_until = NULL, ",
    add_attempt!(),
    fenced!(),
    " RETURNING status, last_sequence"
);

/// The attempt ends, and the execution goes on as `$next`, with what is `$set`; canceled where that was asked for.
macro_rules! go_on {
    ($next:literal, $set:literal) => {
        concat!(
            end_attempt!(),
            "INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt, error_type,
                 next_attempt_at)
             SELECT id, last_sequence + 1, $3, status, iif(cancel_requested_at IS NULL, '",
            $next,
            "', 'canceled'), attempts, iif(cancel_requested_at IS NULL, $4, NULL),
                 iif(cancel_requested_at IS NULL, $11, NULL)
             FROM executions",
            fenced!(),
            ";",
            "UPDATE executions SET status = iif(cancel_requested_at IS NULL, '",
            $next,
            "', 'canceled'), completed_at = iif(cancel_requested_at IS NULL, NULL, $3), ",
            $set,
            add_attempt!(),
            fenced!(),
            " RETURNING status, last_sequence"
        )
    };
}

const RETRY: &str = go_on!(
    "running",
    "attempts = attempts + (cancel_requested_at IS NULL), lease_until = iif(cancel_requested_at IS NULL, $12, NULL),
     attempt_started_at = $3, worker = $13, claim_id = $14, "
);

const REQUEUE: &str = go_on!(
    "queued",
    "look_at = iif(cancel_requested_at IS NULL, $11, NULL), lease_until = NULL, handed_back = handed_back + $12, "
);

/// Ends the execution, where the fence holds; otherwise writes nothing.
pub(super) async fn finish(connection: &mut SqliteConnection, fence: Fence, finish: &Finish) -> Result<Option<Event>> {
    let (at, failure) = (now(), finish.failure.as_ref());
    let rows = ended(FINISH, fence, at, &finish.ended)?
        .bind(finish.status.as_str())
        .bind(failure.map(|failure| failure.error_type.as_str()))
        .bind(&finish.response)
        .bind(failure.map(|failure| failure.message.as_str()))
        .bind(finish.response_truncated)
        .bind(finish.finish_reason.map(|reason| reason.as_str()))
        .bind(finish.cost_nano_usd)
        .fetch_all(connection)
        .await
        .map_err(error::store)?;
    let event = |row| wrote(row, fence, at, failure.map(|failure| failure.error_type), None);
    rows.first().map(event).transpose()
}

pub(super) async fn retry(
    connection: &mut SqliteConnection,
    fence: Fence,
    end: &Ended,
    next_attempt_in: Duration,
    holder: &Holder,
) -> Result<Option<Event>> {
    let at = now();
    let next = at.after(next_attempt_in);
    let rows = ended(RETRY, fence, at, end)?
        .bind(next.0)
        .bind(at.after(holder.lease).0)
        .bind(&holder.worker)
        .bind(holder.claim_id.to_string())
        .fetch_all(&mut *connection)
        .await
        .map_err(error::store)?;
    went_on(connection, rows.first(), fence, at, end, next).await
}

pub(super) async fn requeue(
    connection: &mut SqliteConnection,
    fence: Fence,
    requeue: &Requeue,
) -> Result<Option<Event>> {
    let at = now();
    let next = at.after(requeue.after);
    let rows = ended(REQUEUE, fence, at, &requeue.ended)?
        .bind(next.0)
        .bind(requeue.handed_back)
        .fetch_all(&mut *connection)
        .await
        .map_err(error::store)?;
    went_on(connection, rows.first(), fence, at, &requeue.ended, next).await
}

/// The event of an attempt after which the execution goes on, or was canceled.
async fn went_on(
    connection: &mut SqliteConnection,
    row: Option<&SqliteRow>,
    fence: Fence,
    at: Timestamp,
    ended: &Ended,
    next: Timestamp,
) -> Result<Option<Event>> {
    let Some(row) = row else { return Ok(None) };
    let event = wrote(row, fence, at, ended.error_type, Some(next))?;
    if event.to == Status::Canceled {
        lease::settle(connection, fence.id).await?;
        return Ok(Some(Event { error_type: None, next_attempt_at: None, ..event }));
    }
    Ok(Some(event))
}

/// The event that a fenced write has made of a running execution.
fn wrote(
    row: &SqliteRow,
    fence: Fence,
    at: Timestamp,
    error_type: Option<ErrorType>,
    next_attempt_at: Option<Timestamp>,
) -> Result<Event> {
    Ok(Event {
        sequence: row::value(row, "last_sequence")?,
        at,
        from: Some(Status::Running),
        to: row::word(row, "status", Status::from_word)?,
        attempt: fence.attempt,
        error_type,
        next_attempt_at,
    })
}

/// A statement with the values $1 to $10.
fn ended<'q>(
    sql: &'static str,
    fence: Fence,
    at: Timestamp,
    ended: &'q Ended,
) -> Result<sqlx::query::Query<'q, Sqlite, SqliteArguments>> {
    let latency = ended.latency.map(|latency| i32::try_from(latency.as_millis()).unwrap_or(i32::MAX));
    Ok(sqlx::query(sql)
        .bind(fence.id.to_string())
        .bind(fence.attempt)
        .bind(at.0)
        .bind(ended.error_type.map(ErrorType::as_str))
        .bind(&ended.provider_request_id)
        .bind(ended.usage.prompt_tokens)
        .bind(ended.usage.cached_tokens)
        .bind(ended.usage.response_tokens)
        .bind(latency)
        .bind(&ended.error_message))
}
