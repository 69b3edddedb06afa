//! Ends of attempts, which also end, continue or requeue the execution. Each statement checks the fence; only the last
//! one changes it, so all of them see the same execution.

use std::sync::LazyLock;
use std::time::Duration;

use prompt_ledger_domain::execution::{ErrorType, Event, Status};
use prompt_ledger_domain::{Error, Result, Timestamp};
use rusqlite::{Connection, ToSql};

use super::statement::{Script, parameters};
use super::{lease, now, row};
use prompt_ledger_store::rows::execution::stored_calls;
use prompt_ledger_store::{Ended, Fence, Finish, Holder, Requeue};

/// The end of an attempt that ends its execution.
#[derive(Debug)]
pub(super) struct AttemptEnd {
    id: String,
    fence: Fence,
    finish: Finish,
    /// As they are stored; absent for none.
    tool_calls: Option<String>,
}

impl AttemptEnd {
    pub(super) fn new(fence: Fence, finish: Finish) -> Result<Self> {
        if !finish.status.is_terminal() {
            return Err(Error::internal(format!("an execution was to end `{}`", finish.status)));
        }
        Ok(Self { id: fence.id.to_string(), fence, tool_calls: stored_calls(&finish)?, finish })
    }

    /// The length of its text and calls.
    pub(super) fn bytes(&self) -> usize {
        self.finish.response.len() + self.tool_calls.as_ref().map_or(0, String::len)
    }

    fn error_type(&self) -> Option<ErrorType> {
        self.finish.failure.as_ref().map(|failure| failure.error_type)
    }
}

static ATTEMPT: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/end_attempt.sql"), AttemptParameters::NAMES));

parameters! {
    AttemptParameters(end: &AttemptEnd, at: Timestamp) {
        id = &end.id,
        attempt = end.fence.attempt,
        at = at.0,
        error_type = end.finish.ended.error_type.map(<&str>::from),
        provider_request_id = &end.finish.ended.provider_request_id,
        requests = end.finish.ended.stored_requests(),
        prompt_tokens = end.finish.ended.usage.prompt_tokens,
        cached_prompt_tokens = end.finish.ended.usage.cached_prompt_tokens,
        cache_write_5m_tokens = end.finish.ended.usage.cache_write_5m_tokens,
        cache_write_1h_tokens = end.finish.ended.usage.cache_write_1h_tokens,
        response_tokens = end.finish.ended.usage.response_tokens,
        latency_ms = end.finish.ended.latency_ms(),
        error_message = &end.finish.ended.error_message,
    }
}

static LAST: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/end_event.sql"), LastEventParameters::NAMES));

parameters! {
    LastEventParameters(end: &AttemptEnd, at: Timestamp) {
        id = &end.id,
        attempt = end.fence.attempt,
        at = at.0,
        status = <&str>::from(end.finish.status),
        error_type = end.error_type().map(<&str>::from),
    }
}

static OUTPUT: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/end_output.sql"), &["id", "response", "tool_calls"]));

static EXECUTION: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("sql/end.sql"), include_str!("sql/add_usage.sql")), EndParameters::NAMES)
});

parameters! {
    EndParameters(end: &AttemptEnd, at: Timestamp) {
        id = &end.id,
        attempt = end.fence.attempt,
        at = at.0,
        provider_request_id = &end.finish.ended.provider_request_id,
        response_model = &end.finish.ended.response_model,
        prompt_tokens = end.finish.ended.usage.prompt_tokens,
        cached_prompt_tokens = end.finish.ended.usage.cached_prompt_tokens,
        cache_write_5m_tokens = end.finish.ended.usage.cache_write_5m_tokens,
        cache_write_1h_tokens = end.finish.ended.usage.cache_write_1h_tokens,
        response_tokens = end.finish.ended.usage.response_tokens,
        latency_ms = end.finish.ended.latency_ms(),
        status = <&str>::from(end.finish.status),
        error_type = end.error_type().map(<&str>::from),
        error_message = end.finish.failure.as_ref().map(|failure| &failure.message),
        response_truncated = end.finish.response_truncated,
        refused = end.finish.refused,
        finish_reason = end.finish.finish_reason.map(<&str>::from),
        cost_nano_usd = end.finish.cost_nano_usd,
    }
}

/// Ends an execution, inside a transaction. Returns its event; nothing where the fence does not hold.
pub(super) fn end(connection: &Connection, end: &AttemptEnd) -> Result<Option<Event>> {
    let at = now();
    if ATTEMPT.execute(connection, AttemptParameters::values(end, at))? == 0 {
        return Ok(None);
    }
    LAST.execute(connection, LastEventParameters::values(end, at))?;
    if !end.finish.response.is_empty() || end.tool_calls.is_some() {
        OUTPUT.execute(connection, [&end.id as &dyn ToSql, &end.finish.response, &end.tool_calls])?;
    }
    let sequence = EXECUTION.row(connection, EndParameters::values(end, at), |row| row::value(row, "last_sequence"))?;
    Ok(sequence.map(|sequence| Event {
        sequence,
        at,
        from: Some(Status::Running),
        to: end.finish.status,
        attempt: end.fence.attempt,
        error_type: end.error_type(),
        next_attempt_at: None,
    }))
}

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
    GoOnParameters(to: &Continuation<'_>) {
        id = to.fence.id.to_string(),
        attempt = to.fence.attempt,
        at = to.at.0,
        error_type = to.ended.error_type.map(<&str>::from),
        provider_request_id = &to.ended.provider_request_id,
        response_model = &to.ended.response_model,
        requests = to.ended.stored_requests(),
        prompt_tokens = to.ended.usage.prompt_tokens,
        cached_prompt_tokens = to.ended.usage.cached_prompt_tokens,
        cache_write_5m_tokens = to.ended.usage.cache_write_5m_tokens,
        cache_write_1h_tokens = to.ended.usage.cache_write_1h_tokens,
        response_tokens = to.ended.usage.response_tokens,
        latency_ms = to.ended.latency_ms(),
        error_message = &to.ended.error_message,
        next = <&str>::from(to.next),
        next_at = to.next_at.0,
        available_at = (to.next == Status::Queued).then_some(to.next_at.0),
        handed_back = to.handed_back,
        began_at = to.holder.map(|_| to.at.0),
        lease_until = to.holder.map(|holder| to.at.after(holder.lease).0),
        worker = to.holder.map(|holder| &holder.worker),
        claim_id = to.holder.map(|holder| holder.claim_id.to_string()),
    }
}

/// The end of an attempt after which the execution goes on; it is canceled instead where that was requested.
static GO_ON: LazyLock<Script> = LazyLock::new(|| {
    let attempt_and_event = concat!(include_str!("sql/end_attempt.sql"), ";", include_str!("sql/go_on_event.sql"));
    let update = concat!(";", include_str!("sql/go_on.sql"), include_str!("sql/add_usage.sql"));
    Script::new(&format!("{attempt_and_event}{update}"), GoOnParameters::NAMES)
});

pub(super) fn retry(
    connection: &Connection,
    fence: Fence,
    ended: &Ended,
    next_attempt_in: Duration,
    holder: &Holder,
) -> Result<Option<Event>> {
    let at = now();
    let (next, next_at) = (Status::Running, at.after(next_attempt_in));
    let to = Continuation { fence, at, ended, next, next_at, handed_back: false, holder: Some(holder) };
    go_on(connection, &to)
}

pub(super) fn requeue(connection: &Connection, fence: Fence, requeue: &Requeue) -> Result<Option<Event>> {
    let at = now();
    let (ended, next, next_at) = (&requeue.ended, Status::Queued, at.after(requeue.after));
    let to = Continuation { fence, at, ended, next, next_at, handed_back: requeue.handed_back, holder: None };
    go_on(connection, &to)
}

/// Runs a continuation. Returns its event, which is to `canceled` where that was requested; nothing where the fence did
/// not hold.
fn go_on(connection: &Connection, to: &Continuation<'_>) -> Result<Option<Event>> {
    let event = GO_ON.row(connection, GoOnParameters::values(to), |row| {
        Ok(Event {
            sequence: row::value(row, "last_sequence")?,
            at: to.at,
            from: Some(Status::Running),
            to: row::word(row, "status")?,
            attempt: to.fence.attempt,
            error_type: to.ended.error_type,
            next_attempt_at: Some(to.next_at),
        })
    })?;
    match event {
        Some(event) if event.to == Status::Canceled => {
            lease::settle(connection, to.fence.id)?;
            Ok(Some(Event { error_type: None, next_attempt_at: None, ..event }))
        }
        event => Ok(event),
    }
}

#[cfg(test)]
pub(super) fn scripts() -> [&'static Script; 5] {
    [&ATTEMPT, &LAST, &OUTPUT, &EXECUTION, &GO_ON]
}
