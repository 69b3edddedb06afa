//! Ending an attempt, and with it the execution or not. Every statement tests the fence by itself; the last one moves
//! it, so that those before it all see the same execution.

use std::time::Duration;

use prompt_ledger_domain::execution::{ErrorType, Status};
use prompt_ledger_domain::{Error, Result, Timestamp};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Row, Sqlite, SqliteConnection};

use super::{error, lease, now, read};
use crate::{Ended, Fence, Finish, Holder, Retried};

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
    fenced!()
);

const RETRY: &str = concat!(
    end_attempt!(),
    "INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt, error_type,
         next_attempt_at)
     SELECT id, last_sequence + 1, $3, status,
         CASE WHEN cancel_requested_at IS NULL THEN 'running' ELSE 'canceled' END, attempts,
         CASE WHEN cancel_requested_at IS NULL THEN $4 END, CASE WHEN cancel_requested_at IS NULL THEN $11 END
     FROM executions",
    fenced!(),
    ";",
    "UPDATE executions SET
         status = CASE WHEN cancel_requested_at IS NULL THEN 'running' ELSE 'canceled' END,
         completed_at = CASE WHEN cancel_requested_at IS NULL THEN NULL ELSE $3 END,
         attempts = attempts + (cancel_requested_at IS NULL),
         lease_until = CASE WHEN cancel_requested_at IS NULL THEN $12 END,
         attempt_started_at = $3, worker = $13, claim_id = $14, ",
    add_attempt!(),
    fenced!(),
    " RETURNING status"
);

/// Ends the execution, where the fence holds; otherwise writes nothing.
pub(super) async fn finish(connection: &mut SqliteConnection, fence: Fence, finish: &Finish) -> Result<()> {
    if !finish.status.is_terminal() {
        return Err(Error::internal(format!("an execution was to end `{}`", finish.status)));
    }
    let failure = finish.failure.as_ref();
    ended(FINISH, fence, now(), &finish.ended)?
        .bind(finish.status.as_str())
        .bind(failure.map(|failure| failure.error_type.as_str()))
        .bind(&finish.response)
        .bind(failure.map(|failure| failure.message.as_str()))
        .bind(finish.response_truncated)
        .bind(finish.finish_reason.map(|reason| reason.as_str()))
        .bind(finish.cost_nano_usd)
        .execute(connection)
        .await
        .map_err(error::store)?;
    Ok(())
}

pub(super) async fn retry(
    connection: &mut SqliteConnection,
    fence: Fence,
    end: &Ended,
    next_attempt_in: Duration,
    holder: &Holder,
) -> Result<Retried> {
    let at = now();
    let rows = ended(RETRY, fence, at, end)?
        .bind(at.after(next_attempt_in).0)
        .bind(at.after(holder.lease).0)
        .bind(&holder.worker)
        .bind(holder.claim_id.to_string())
        .fetch_all(&mut *connection)
        .await
        .map_err(error::store)?;
    let over = async |connection| Ok(Retried::Over(Box::new(read::whole(connection, fence.id).await?)));
    let Some(row) = rows.first() else { return over(connection).await };
    let status: &str = row.try_get("status").map_err(error::store)?;
    if status == Status::Running.as_str() {
        return Ok(Retried::Next(Fence { attempt: fence.attempt + 1, ..fence }));
    }
    lease::settle(connection, fence.id).await?;
    over(connection).await
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
