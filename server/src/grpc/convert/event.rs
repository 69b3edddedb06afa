//! The messages of the streams about executions.

use std::sync::Arc;

use prompt_ledger_domain::call_log::CallPiece;
use prompt_ledger_domain::execution as domain;
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::{Error, Result, Timestamp};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_event::Kind;
use prompt_ledger_runtime::now;

use super::execution::{execution, status, statuses};
use super::known;
use super::time::{moment, timestamp};
use crate::service::Caller;
use crate::watch::{FeedFilter, FeedMessage, WatchMessage};

/// A message about one execution. `reused`: the call found it by its idempotency key.
#[must_use]
pub fn message(id: ExecutionId, message: WatchMessage, reused: bool) -> v1::ExecutionEvent {
    match message {
        WatchMessage::Snapshot { status: stands, attempt, through } => unnumbered(
            id,
            now(),
            Kind::Snapshot(v1::ExecutionSnapshot {
                status: status(stands).into(),
                attempt,
                through_sequence: through,
                reused,
                execution: None,
            }),
        ),
        WatchMessage::Changed(event, ended) => changed(id, String::new(), event, ended),
        WatchMessage::Text { attempt, offset, text } => {
            // A text is at most 500 KB long.
            let offset = i32::try_from(offset).unwrap_or(i32::MAX);
            unnumbered(id, now(), Kind::TextDelta(v1::ExecutionTextDelta { attempt, offset, text }))
        }
        WatchMessage::ToolCall(attempt, CallPiece { index, offset, id: call_id, name, arguments, .. }) => {
            // All arguments together are at most 500 KB long.
            let [index, offset] = [index, offset].map(|count| i32::try_from(count).unwrap_or(i32::MAX));
            let delta = v1::ExecutionToolCallDelta { attempt, index, offset, id: call_id, name, arguments };
            unnumbered(id, now(), Kind::ToolCallDelta(delta))
        }
        WatchMessage::Heartbeat(through_sequence) => {
            unnumbered(id, now(), Kind::Heartbeat(v1::ExecutionHeartbeat { through_sequence }))
        }
    }
}

/// A message about many executions. `at`: the present time by the clock of their events, which messages get that have no
/// time of their own: the caller goes on from either.
#[must_use]
pub fn feed(message: FeedMessage, at: Timestamp) -> v1::ExecutionEvent {
    match message {
        FeedMessage::Snapshot(stands, through_sequence) => unnumbered(
            stands.id,
            at,
            Kind::Snapshot(v1::ExecutionSnapshot {
                status: status(stands.status).into(),
                attempt: stands.attempts,
                through_sequence,
                reused: false,
                execution: Some(Box::new(whole(stands))),
            }),
        ),
        FeedMessage::Changed { id, prompt_name, event, ended } => changed(id, prompt_name, event, ended),
        FeedMessage::Synced => of_none(at, Kind::Synced(v1::ExecutionsSynced {})),
        FeedMessage::Heartbeat => of_none(at, Kind::Heartbeat(v1::ExecutionHeartbeat { through_sequence: 0 })),
    }
}

fn changed(
    id: ExecutionId,
    prompt_name: String,
    event: domain::Event,
    ended: Option<Arc<domain::Execution>>,
) -> v1::ExecutionEvent {
    let kind = Kind::StateChanged(v1::ExecutionStateChanged {
        from: event.from.map_or(v1::ExecutionStatus::Unspecified, status).into(),
        to: status(event.to).into(),
        attempt: event.attempt,
        error_type: event.error_type.map(<&str>::from).unwrap_or_default().to_owned(),
        next_attempt_at: event.next_attempt_at.map(timestamp),
        execution: ended.map(whole).map(Box::new),
        prompt_name,
    });
    v1::ExecutionEvent {
        execution_id: id.to_string(),
        sequence: event.sequence,
        at: Some(timestamp(event.at)),
        terminal: event.to.is_terminal(),
        kind: Some(kind),
    }
}

fn whole(shared: Arc<domain::Execution>) -> v1::Execution {
    execution(Arc::unwrap_or_clone(shared))
}

fn unnumbered(id: ExecutionId, at: Timestamp, kind: Kind) -> v1::ExecutionEvent {
    v1::ExecutionEvent { execution_id: id.to_string(), ..of_none(at, kind) }
}

fn of_none(at: Timestamp, kind: Kind) -> v1::ExecutionEvent {
    let at = Some(timestamp(at));
    v1::ExecutionEvent { execution_id: String::new(), sequence: 0, at, terminal: false, kind: Some(kind) }
}

/// The cursor of a watch: the sequence of the last event that the caller has, or 0; INVALID_FIELD where it is
/// negative.
pub fn cursor(after_sequence: i64) -> Result<i64> {
    match after_sequence {
        0.. => Ok(after_sequence),
        _ => Err(Error::invalid(
            "after_sequence",
            "is negative; send the sequence of the last event that you have, or 0",
        )),
    }
}

pub fn wanted(caller: &Caller, sent: v1::WatchExecutionsRequest) -> Result<FeedFilter> {
    let since: Option<Timestamp> = sent.since.map(|since| moment("since", since)).transpose()?;
    Ok(FeedFilter {
        project: caller.project.id,
        project_name: caller.project.name.clone(),
        statuses: statuses(&sent.statuses)?,
        texts: known::<v1::ExecutionView>("view", sent.view)? == v1::ExecutionView::Full,
        prompt_name: sent.prompt_name,
        environment: sent.environment,
        correlation_id: sent.correlation_id,
        since,
    })
}
