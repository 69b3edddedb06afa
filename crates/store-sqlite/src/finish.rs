//! Ends of attempts, which also end, continue or requeue the execution. The fence is read first; what is written then are
//! single rows: SQLite keeps a journal of its own for each statement that selects or returns what it writes.

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

/// A running attempt whose fence holds.
struct HeldAttempt {
    worker: String,
    since: Option<i64>,
    /// Of the execution's last event.
    last_sequence: i64,
}

static HELD: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("sql/held.sql"), &["id", "attempt"]));

/// Nothing where the fence does not hold.
fn held(connection: &Connection, id: &str, fence: Fence) -> Result<Option<HeldAttempt>> {
    HELD.row(connection, [&id as &dyn ToSql, &fence.attempt], |row| {
        Ok(HeldAttempt { last_sequence: row::at(row, 0)?, worker: row::at(row, 1)?, since: row::at(row, 2)? })
    })
}

static ATTEMPT: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/end_attempt.sql"), AttemptParameters::NAMES));

parameters! {
    AttemptParameters(end: &AttemptEnd, held: &HeldAttempt, at: Timestamp) {
        id = &end.id,
        attempt = end.fence.attempt,
        at = at.0,
        held_by = &held.worker,
        held_since = held.since,
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
    LastEventParameters(end: &AttemptEnd, sequence: i64, at: Timestamp) {
        id = &end.id,
        attempt = end.fence.attempt,
        sequence = sequence,
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
    let Some(held) = held(connection, &end.id, end.fence)? else { return Ok(None) };
    let sequence = held.last_sequence + 1;
    ATTEMPT.execute(connection, AttemptParameters::values(end, &held, at))?;
    LAST.execute(connection, LastEventParameters::values(end, sequence, at))?;
    if !end.finish.response.is_empty() || end.tool_calls.is_some() {
        OUTPUT.execute(connection, [&end.id as &dyn ToSql, &end.finish.response, &end.tool_calls])?;
    }
    EXECUTION.execute(connection, EndParameters::values(end, at))?;
    Ok(Some(Event {
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
    GoOnParameters(to: &Continuation<'_>, id: &str, held: &HeldAttempt) {
        id = id,
        attempt = to.fence.attempt,
        at = to.at.0,
        held_by = &held.worker,
        held_since = held.since,
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
    Script::new(&format!("{attempt_and_event}{update} RETURNING status, last_sequence"), GoOnParameters::NAMES)
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
    let id = to.fence.id.to_string();
    let Some(held) = held(connection, &id, to.fence)? else { return Ok(None) };
    let event = GO_ON.row(connection, GoOnParameters::values(to, &id, &held), |row| {
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

/// What is run for each execution.
#[cfg(test)]
pub(super) fn usual_scripts() -> [&'static Script; 5] {
    [&HELD, &ATTEMPT, &LAST, &OUTPUT, &EXECUTION]
}

#[cfg(test)]
pub(super) fn scripts() -> [&'static Script; 6] {
    [&HELD, &ATTEMPT, &LAST, &OUTPUT, &EXECUTION, &GO_ON]
}
