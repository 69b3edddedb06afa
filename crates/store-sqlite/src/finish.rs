//! Ends of attempts, which also end, continue or requeue the execution. Each statement checks the fence; only the last
//! one changes it, so all of them see the same execution.

use std::sync::LazyLock;
use std::time::Duration;

use prompt_ledger_domain::execution::{ErrorType, Event, Status};
use prompt_ledger_domain::{Error, Result, Timestamp};
use prompt_ledger_store::parameters;
use prompt_ledger_store::parameters::numbered;
use sqlx::SqliteConnection;

use super::statement::{HotWritten, Statement, statement};
use super::{error, lease, now, row};
use prompt_ledger_store::{Ended, Fence, Finish, Holder, Requeue};

/// The end of an attempt that ends its execution.
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

    /// The event that was written; nothing where the fence did not hold.
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

/// The inserts of attempt, event and response, then the update of the execution.
pub(super) const STATEMENTS: [Statement<AttemptEnd>; 4] = [ATTEMPT, LAST, OUTPUT, EXECUTION];

const ATTEMPT: Statement<AttemptEnd> = statement!(concat!(include_str!("sql/end_attempt.sql"), include_str!("sql/fenced.sql")), |AttemptEnd { id, fence, finish }, at| {
    id = id,
    attempt = fence.attempt,
    at = at.0,
    error_type = finish.ended.error_type.map(ErrorType::as_str),
    provider_request_id = &finish.ended.provider_request_id,
    prompt_tokens = finish.ended.usage.prompt_tokens,
    cached_prompt_tokens = finish.ended.usage.cached_prompt_tokens,
    response_tokens = finish.ended.usage.response_tokens,
    latency_ms = finish.ended.latency_ms(),
    error_message = &finish.ended.error_message,
});

const LAST: Statement<AttemptEnd> = statement!(concat!(include_str!("sql/end_event.sql"), include_str!("sql/fenced.sql")), |end, at| {
    id = &end.id,
    attempt = end.fence.attempt,
    at = at.0,
    status = end.finish.status.as_str(),
    error_type = end.error_type().map(ErrorType::as_str),
});

const OUTPUT: Statement<AttemptEnd> = statement!(concat!(include_str!("sql/end_output.sql"), include_str!("sql/fenced.sql"), "    AND job.response <> ''"), |AttemptEnd { id, fence, finish }, _at| {
    id = id,
    attempt = fence.attempt,
    response = &finish.response,
});

const EXECUTION: Statement<AttemptEnd> = statement!(concat!(include_str!("sql/end.sql"), include_str!("sql/add_usage.sql")), |AttemptEnd { id, fence, finish }, at| {
    id = id,
    attempt = fence.attempt,
    at = at.0,
    provider_request_id = &finish.ended.provider_request_id,
    prompt_tokens = finish.ended.usage.prompt_tokens,
    cached_prompt_tokens = finish.ended.usage.cached_prompt_tokens,
    response_tokens = finish.ended.usage.response_tokens,
    latency_ms = finish.ended.latency_ms(),
    status = finish.status.as_str(),
    error_type = finish.failure.as_ref().map(|failure| failure.error_type.as_str()),
    error_message = finish.failure.as_ref().map(|failure| failure.message.as_str()),
    response_truncated = finish.response_truncated,
    finish_reason = finish.finish_reason.map(|reason| reason.as_str()),
    cost_nano_usd = finish.cost_nano_usd,
});

/// The end of an attempt after which the execution goes on, and what follows.
struct Continuation<'a> {
    fence: Fence,
    at: Timestamp,
    ended: &'a Ended,
    next: Status,
    /// When the next attempt may begin, or in a retry its provider call.
    next_at: Timestamp,
    handed_back: bool,
    /// Holder of the next attempt; absent where the execution is queued.
    holder: Option<&'a Holder>,
}

parameters! {
    GoOnParameters(to: &Continuation<'_>) of sqlx::Sqlite {
        id = to.fence.id.to_string(),
        attempt = to.fence.attempt,
        at = to.at.0,
        error_type = to.ended.error_type.map(ErrorType::as_str),
        provider_request_id = &to.ended.provider_request_id,
        prompt_tokens = to.ended.usage.prompt_tokens,
        cached_prompt_tokens = to.ended.usage.cached_prompt_tokens,
        response_tokens = to.ended.usage.response_tokens,
        latency_ms = to.ended.latency_ms(),
        error_message = &to.ended.error_message,
        next = to.next.as_str(),
        next_at = to.next_at.0,
        handed_back = to.handed_back,
        lease_until = to.holder.map(|holder| to.at.after(holder.lease).0),
        worker = to.holder.map(|holder| &holder.worker),
        claim_id = to.holder.map(|holder| holder.claim_id.to_string()),
    }
}

static RETRY: LazyLock<String> = LazyLock::new(|| go_on(include_str!("sql/retry.sql")));
static REQUEUE: LazyLock<String> = LazyLock::new(|| go_on(include_str!("sql/requeue.sql")));

/// Composes the end of an attempt after which `update` lets the execution go on; it is canceled instead where that was
/// requested.
fn go_on(update: &str) -> String {
    let names = GoOnParameters::NAMES;
    let values: Vec<_> = names.iter().map(|name| format!(":{name}")).collect();
    let job = format!("WITH job ({}) AS (VALUES ({})) ", names.join(", "), values.join(", "));
    let event = concat!(include_str!("sql/go_on_event.sql"), include_str!("sql/fenced.sql"));
    let update = format!("{update}{}", include_str!("sql/add_usage.sql"));
    let statements = [ATTEMPT.body, event, &update].map(|body| format!("{job}{body}"));
    numbered(&statements.join(";"), names)
}

pub(super) async fn retry(
    connection: &mut SqliteConnection,
    fence: Fence,
    ended: &Ended,
    next_attempt_in: Duration,
    holder: &Holder,
) -> Result<Option<Event>> {
    let at = now();
    let (next, next_at) = (Status::Running, at.after(next_attempt_in));
    went_on(
        connection,
        &RETRY,
        Continuation { fence, at, ended, next, next_at, handed_back: false, holder: Some(holder) },
    )
    .await
}

pub(super) async fn requeue(
    connection: &mut SqliteConnection,
    fence: Fence,
    requeue: &Requeue,
) -> Result<Option<Event>> {
    let at = now();
    let (ended, next, next_at) = (&requeue.ended, Status::Queued, at.after(requeue.after));
    let to = Continuation { fence, at, ended, next, next_at, handed_back: requeue.handed_back, holder: None };
    went_on(connection, &REQUEUE, to).await
}

/// Runs a continuation. Returns its event, which is to `canceled` where that was requested; nothing where the fence did
/// not hold.
async fn went_on(connection: &mut SqliteConnection, sql: &'static str, to: Continuation<'_>) -> Result<Option<Event>> {
    let rows = GoOnParameters::query(sql, &to).fetch_all(&mut *connection).await.map_err(error::store)?;
    let Some(row) = rows.first() else { return Ok(None) };
    let event = Event {
        sequence: row::value(row, "last_sequence")?,
        at: to.at,
        from: Some(Status::Running),
        to: row::word(row, "status", Status::from_word)?,
        attempt: to.fence.attempt,
        error_type: to.ended.error_type,
        next_attempt_at: Some(to.next_at),
    };
    if event.to == Status::Canceled {
        lease::settle(connection, to.fence.id).await?;
        return Ok(Some(Event { error_type: None, next_attempt_at: None, ..event }));
    }
    Ok(Some(event))
}
