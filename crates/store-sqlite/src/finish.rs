//! Ending an attempt, and with it the execution or not. Every statement tests the fence by itself; the last one moves
//! it, so that those before it all see the same execution.

use std::time::Duration;

use prompt_ledger_domain::execution::{ErrorType, Event, Status};
use prompt_ledger_domain::{Error, Result, Timestamp};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Sqlite, SqliteConnection};

use super::hot::{self, Around, HotWritten, Statement};
use super::{error, lease, now, row};
use prompt_ledger_store::{Ended, Fence, Finish, Holder, Requeue};

/// The execution of a job, where the job's attempt is running.
macro_rules! fenced {
    () => {
        " FROM job CROSS JOIN executions x ON x.id = job.id WHERE x.attempts = job.attempt AND x.status = 'running'"
    };
}

/// The row of the attempt that ends.
macro_rules! end_attempt {
    () => {
        concat!(
            "INSERT INTO execution_attempts (execution_id, number, worker, started_at, ended_at, error_type,
                 provider_request_id, prompt_tokens, cached_tokens, response_tokens, latency_ms, error_message)
             SELECT x.id, x.attempts, x.worker, x.attempt_started_at, job.at, job.error_type, job.provider_request_id,
                 job.prompt_tokens, job.cached_tokens, job.response_tokens, job.latency_ms, job.error_message",
            fenced!()
        )
    };
}

/// What the attempt adds to the execution, beside what is `$set`: sums that stay absent until something is told, and
/// what was last. It moves the fence.
macro_rules! update {
    ($($set:expr),*) => {
        concat!(
            "UPDATE executions SET ",
            $($set,)*
            "prompt_tokens = iif(job.prompt_tokens IS NULL, executions.prompt_tokens,
                 min(coalesce(executions.prompt_tokens, 0) + job.prompt_tokens, 2147483647)),
             cached_tokens = iif(job.cached_tokens IS NULL, executions.cached_tokens,
                 min(coalesce(executions.cached_tokens, 0) + job.cached_tokens, 2147483647)),
             response_tokens = iif(job.response_tokens IS NULL, executions.response_tokens,
                 min(coalesce(executions.response_tokens, 0) + job.response_tokens, 2147483647)),
             provider_request_id = job.provider_request_id,
             latency_ms = coalesce(job.latency_ms, executions.latency_ms), last_sequence = last_sequence + 1
             FROM job
             WHERE executions.id = job.id AND executions.attempts = job.attempt AND executions.status = 'running'
             RETURNING id, status, last_sequence"
        )
    };
}

/// How one attempt ends, and with it the execution.
#[derive(Debug)]
pub(super) struct AttemptEnd {
    id: String,
    fence: Fence,
    finish: Finish,
}

impl AttemptEnd {
    pub(super) fn new(fence: Fence, finish: Finish) -> Result<Self> {
        if !finish.status.is_terminal() {
            return Err(Error::internal(format!("an execution was to end `{}`", finish.status)));
        }
        Ok(Self { id: fence.id.to_string(), fence, finish })
    }

    fn error_type(&self) -> Option<ErrorType> {
        self.finish.failure.as_ref().map(|failure| failure.error_type)
    }

    /// The event that it wrote; nothing where the fence did not hold.
    pub(super) fn event(&self, written: &HotWritten) -> Option<Event> {
        let sequence = written.end(&self.id)?;
        Some(Event {
            sequence,
            at: written.at,
            from: Some(Status::Running),
            to: self.finish.status,
            attempt: self.fence.attempt,
            error_type: self.error_type(),
            next_attempt_at: None,
        })
    }
}

/// The attempt, the event, what the model wrote, and the execution.
pub(super) const STATEMENTS: [Statement<AttemptEnd>; 4] = [ATTEMPT, LAST, OUTPUT, EXECUTION];

const ATTEMPT: Statement<AttemptEnd> = Statement {
    columns: &[
        "id",
        "attempt",
        "at",
        "error_type",
        "provider_request_id",
        "prompt_tokens",
        "cached_tokens",
        "response_tokens",
        "latency_ms",
        "error_message",
    ],
    body: end_attempt!(),
    values: |AttemptEnd { id, fence, finish }, at, values| {
        let ended = &finish.ended;
        values.push(id)?;
        values.push(fence.attempt)?;
        values.push(at.0)?;
        values.push(ended.error_type.map(ErrorType::as_str))?;
        values.push(&ended.provider_request_id)?;
        values.push(ended.usage.prompt_tokens)?;
        values.push(ended.usage.cached_tokens)?;
        values.push(ended.usage.response_tokens)?;
        values.push(ended.latency_ms())?;
        values.push(&ended.error_message)
    },
};

const LAST: Statement<AttemptEnd> = Statement {
    columns: &["id", "attempt", "at", "status", "error_type"],
    body: concat!(
        "INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt, error_type)
         SELECT x.id, x.last_sequence + 1, job.at, x.status, job.status, x.attempts, job.error_type",
        fenced!()
    ),
    values: |end, at, values| {
        values.push(&end.id)?;
        values.push(end.fence.attempt)?;
        values.push(at.0)?;
        values.push(end.finish.status.as_str())?;
        values.push(end.error_type().map(ErrorType::as_str))
    },
};

const OUTPUT: Statement<AttemptEnd> = Statement {
    columns: &["id", "attempt", "response"],
    body: concat!(
        "INSERT INTO execution_outputs (execution_id, response_text) SELECT x.id, job.response",
        fenced!(),
        " AND job.response <> ''"
    ),
    values: |AttemptEnd { id, fence, finish }, _, values| {
        values.push(id)?;
        values.push(fence.attempt)?;
        values.push(&finish.response)
    },
};

const EXECUTION: Statement<AttemptEnd> = Statement {
    columns: &[
        "id",
        "attempt",
        "at",
        "provider_request_id",
        "prompt_tokens",
        "cached_tokens",
        "response_tokens",
        "latency_ms",
        "status",
        "error_type",
        "error_message",
        "response_truncated",
        "finish_reason",
        "cost_nano_usd",
    ],
    body: update!(
        "status = job.status, error_type = job.error_type, error_message = job.error_message,
         response_truncated = job.response_truncated, finish_reason = job.finish_reason,
         cost_nano_usd = job.cost_nano_usd, completed_at = job.at, lease_until = NULL, "
    ),
    values: |end, at, values| {
        let (finish, ended) = (&end.finish, &end.finish.ended);
        values.push(&end.id)?;
        values.push(end.fence.attempt)?;
        values.push(at.0)?;
        values.push(&ended.provider_request_id)?;
        values.push(ended.usage.prompt_tokens)?;
        values.push(ended.usage.cached_tokens)?;
        values.push(ended.usage.response_tokens)?;
        values.push(ended.latency_ms())?;
        values.push(finish.status.as_str())?;
        values.push(end.error_type().map(ErrorType::as_str))?;
        values.push(finish.failure.as_ref().map(|failure| failure.message.as_str()))?;
        values.push(finish.response_truncated)?;
        values.push(finish.finish_reason.map(|reason| reason.as_str()))?;
        values.push(finish.cost_nano_usd)
    },
};

/// The one job of a text whose values have numbers: how the attempt ends, what comes next, and `$more`.
macro_rules! job {
    ($columns:literal, $values:literal) => {
        concat!(
            "WITH job (id, attempt, at, error_type, provider_request_id, prompt_tokens, cached_tokens,
                 response_tokens, latency_ms, error_message, next_at",
            $columns,
            ") AS (VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11",
            $values,
            ")) "
        )
    };
}

/// The attempt ends, and the execution goes on as `$next`, with what is `$set`; canceled where that was asked for.
macro_rules! go_on {
    ($next:literal, $job:expr, $set:literal) => {
        concat!(
            $job,
            end_attempt!(),
            ";",
            $job,
            "INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt, error_type,
                 next_attempt_at)
             SELECT x.id, x.last_sequence + 1, job.at, x.status, iif(x.cancel_requested_at IS NULL, '",
            $next,
            "', 'canceled'), x.attempts, iif(x.cancel_requested_at IS NULL, job.error_type, NULL),
                 iif(x.cancel_requested_at IS NULL, job.next_at, NULL)",
            fenced!(),
            ";",
            $job,
            update!(
                "status = iif(cancel_requested_at IS NULL, '",
                $next,
                "', 'canceled'), completed_at = iif(cancel_requested_at IS NULL, NULL, job.at), ",
                $set
            )
        )
    };
}

const RETRY: &str = go_on!(
    "running",
    job!(", lease_until, worker, claim_id", ", $12, $13, $14"),
    "attempts = attempts + (cancel_requested_at IS NULL),
     lease_until = iif(cancel_requested_at IS NULL, job.lease_until, NULL), attempt_started_at = job.at,
     worker = job.worker, claim_id = job.claim_id, "
);

const REQUEUE: &str = go_on!(
    "queued",
    job!(", handed_back", ", $12"),
    "available_at = iif(cancel_requested_at IS NULL, job.next_at, NULL), lease_until = NULL,
     handed_back = executions.handed_back + job.handed_back, "
);

/// Ends it, inside a transaction.
pub(super) async fn alone(connection: &mut SqliteConnection, end: &AttemptEnd) -> Result<Option<Event>> {
    let written = hot::write(connection, &[], &[end], Around::Nothing).await.map_err(error::store)?;
    Ok(end.event(&written))
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
    Ok(sqlx::query(sql)
        .bind(fence.id.to_string())
        .bind(fence.attempt)
        .bind(at.0)
        .bind(ended.error_type.map(ErrorType::as_str))
        .bind(&ended.provider_request_id)
        .bind(ended.usage.prompt_tokens)
        .bind(ended.usage.cached_tokens)
        .bind(ended.usage.response_tokens)
        .bind(ended.latency_ms())
        .bind(&ended.error_message))
}
