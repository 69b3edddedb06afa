//! The events of streams about executions, as server-sent events.

use prompt_ledger_domain::{Error, Result};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_event::Kind;
use prost_types::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::sse::SseEvent;
use super::types::execution::ExecutionJson;
use super::types::time::{TimeJson, time};
use super::types::told;
use super::types::words::{ExecutionStatusWord, WireWord as _};

/// `event: snapshot`: where an execution stands. The first event about it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SnapshotEvent)]
pub(crate) struct SnapshotJson {
    execution_id: String,
    at: Option<TimeJson>,
    status: Option<ExecutionStatusWord>,
    /// 0 before the first.
    attempt: i32,
    /// The sequence of its last event. Not what to go on from.
    through_sequence: i64,
    /// Whether the call found the execution by its idempotency key.
    reused: bool,
    /// In a stream about many executions.
    execution: Option<ExecutionJson>,
}

/// `event: state_changed`: the status has changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StateChangedEvent)]
pub(crate) struct StateChangedJson {
    execution_id: String,
    /// Counts the state changes of the execution from 1.
    sequence: i64,
    at: Option<TimeJson>,
    /// Whether it is the execution's last event.
    terminal: bool,
    /// Null in the first event.
    from: Option<ExecutionStatusWord>,
    to: Option<ExecutionStatusWord>,
    attempt: i32,
    error_type: Option<String>,
    /// When the next attempt is due, where there is one.
    next_attempt_at: Option<TimeJson>,
    /// The finished execution, in the terminal event.
    execution: Option<ExecutionJson>,
    /// In a stream about many executions.
    prompt_name: Option<String>,
}

/// `event: text_delta`: the model wrote more text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TextDeltaEvent)]
pub(crate) struct TextDeltaJson {
    execution_id: String,
    at: Option<TimeJson>,
    /// Where it is another than before, the text so far is void.
    attempt: i32,
    /// Where the text begins, in UTF-8 bytes of the attempt's whole text.
    offset: i32,
    text: String,
}

/// `event: tool_call_delta`: the model wrote more of a tool call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ToolCallDeltaEvent)]
pub(crate) struct ToolCallDeltaJson {
    execution_id: String,
    at: Option<TimeJson>,
    /// Where it is another than before, the calls so far are void.
    attempt: i32,
    /// Which call of the answer, from 0.
    index: i32,
    /// Where the arguments begin, in UTF-8 bytes of that call's arguments.
    offset: i32,
    /// The provider's id of the call, at offset 0.
    id: Option<String>,
    /// The tool, at offset 0.
    name: Option<String>,
    arguments: String,
}

/// `event: heartbeat`: nothing has happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HeartbeatEvent)]
pub(crate) struct HeartbeatJson {
    execution_id: Option<String>,
    at: Option<TimeJson>,
    /// The sequence of the last event that was sent; 0 in a stream about many executions.
    through_sequence: i64,
}

/// `event: synced`: of many executions, what stood before has been sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SyncedEvent)]
pub(crate) struct SyncedJson {
    at: Option<TimeJson>,
}

/// `event: end`: behind the terminal event. Clients close the stream.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EndEvent)]
pub(crate) struct EndJson {
    execution_id: String,
    status: Option<ExecutionStatusWord>,
}

/// The types of the events' data by their names, and all schemas that these name.
pub(super) fn described() -> (Vec<String>, Vec<(String, RefOr<Schema>)>) {
    let (mut names, mut schemas) = Default::default();
    named::<SnapshotJson>(&mut names, &mut schemas);
    named::<StateChangedJson>(&mut names, &mut schemas);
    named::<TextDeltaJson>(&mut names, &mut schemas);
    named::<ToolCallDeltaJson>(&mut names, &mut schemas);
    named::<HeartbeatJson>(&mut names, &mut schemas);
    named::<SyncedJson>(&mut names, &mut schemas);
    named::<EndJson>(&mut names, &mut schemas);
    (names, schemas)
}

/// Adds the name of an event's data, its schema, and those that this names.
pub(super) fn named<T: ToSchema>(names: &mut Vec<String>, schemas: &mut Vec<(String, RefOr<Schema>)>) {
    names.push(T::name().into_owned());
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

/// An event about one execution. Its id is its sequence, or that of the last event before a heartbeat. Behind the
/// terminal one stands `end`.
pub(super) fn about_one(event: v1::ExecutionEvent) -> Result<SseEvent> {
    let sequence = match &event.kind {
        Some(Kind::Heartbeat(heartbeat)) => heartbeat.through_sequence,
        _ => event.sequence,
    };
    let id = (sequence > 0).then(|| sequence.to_string());
    let end = match &event.kind {
        Some(Kind::StateChanged(changed)) if event.terminal => {
            Some(EndJson { execution_id: event.execution_id.clone(), status: ExecutionStatusWord::of(changed.to) })
        }
        _ => None,
    };
    let event = written(event, id.as_deref())?;
    match end {
        Some(end) => Ok(event.then(&SseEvent::new("end", None, &end)?)),
        None => Ok(event),
    }
}

/// The ids of the events about many executions: the time to go on from, which is `since`. It moves once all that stood
/// before has been sent, first to the time of the stream's first event, then to that of each state change, never back.
#[derive(Debug, Default)]
pub(super) struct Since {
    began: Option<Timestamp>,
    /// Absent until all that stood before has been sent.
    told: Option<Timestamp>,
}

impl Since {
    /// An event about many executions.
    pub(super) fn event(&mut self, event: v1::ExecutionEvent) -> Result<SseEvent> {
        let at = event.at;
        let began = *self.began.get_or_insert(at.unwrap_or_default());
        let until = match &event.kind {
            Some(Kind::Synced(_)) => Some(began),
            Some(Kind::StateChanged(_)) if self.told.is_some() => at,
            _ => None,
        };
        let order = |at: Timestamp| (at.seconds, at.nanos);
        let moved = until.filter(|until| self.told.is_none_or(|told| order(told) < order(*until)));
        self.told = moved.or(self.told);
        let id = moved.map(|moved| moved.to_string());
        written(event, id.as_deref())
    }
}

fn written(event: v1::ExecutionEvent, id: Option<&str>) -> Result<SseEvent> {
    let v1::ExecutionEvent { execution_id, sequence, at, terminal, kind } = event;
    let at = time(at);
    match kind {
        Some(Kind::Snapshot(sent)) => SseEvent::new(
            "snapshot",
            id,
            &SnapshotJson {
                execution_id,
                at,
                status: ExecutionStatusWord::of(sent.status),
                attempt: sent.attempt,
                through_sequence: sent.through_sequence,
                reused: sent.reused,
                execution: sent.execution.map(|sent| (*sent).into()),
            },
        ),
        Some(Kind::StateChanged(sent)) => SseEvent::new(
            "state_changed",
            id,
            &StateChangedJson {
                execution_id,
                sequence,
                at,
                terminal,
                from: ExecutionStatusWord::of(sent.from),
                to: ExecutionStatusWord::of(sent.to),
                attempt: sent.attempt,
                error_type: told(sent.error_type),
                next_attempt_at: time(sent.next_attempt_at),
                execution: sent.execution.map(|sent| (*sent).into()),
                prompt_name: told(sent.prompt_name),
            },
        ),
        Some(Kind::TextDelta(v1::ExecutionTextDelta { attempt, offset, text })) => {
            SseEvent::new("text_delta", id, &TextDeltaJson { execution_id, at, attempt, offset, text })
        }
        Some(Kind::ToolCallDelta(sent)) => {
            let v1::ExecutionToolCallDelta { attempt, index, offset, id: call, name, arguments } = sent;
            let (call, name) = (told(call), told(name));
            let delta = ToolCallDeltaJson { execution_id, at, attempt, index, offset, id: call, name, arguments };
            SseEvent::new("tool_call_delta", id, &delta)
        }
        Some(Kind::Heartbeat(v1::ExecutionHeartbeat { through_sequence })) => {
            SseEvent::new("heartbeat", id, &HeartbeatJson { execution_id: told(execution_id), at, through_sequence })
        }
        Some(Kind::Synced(v1::ExecutionsSynced {})) => SseEvent::new("synced", id, &SyncedJson { at }),
        None => Err(Error::internal("an event has no kind")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(second: i64, sequence: i64, kind: Kind) -> v1::ExecutionEvent {
        let at = Some(Timestamp { seconds: second, nanos: 0 });
        v1::ExecutionEvent { execution_id: "an-id".into(), sequence, at, terminal: false, kind: Some(kind) }
    }

    fn changed(to: v1::ExecutionStatus) -> Kind {
        Kind::StateChanged(v1::ExecutionStateChanged { to: to.into(), ..v1::ExecutionStateChanged::default() })
    }

    /// The ids and kinds of an event's text.
    fn head(event: SseEvent) -> (Option<String>, Vec<String>) {
        let text = event.into_text();
        let named = |name: &str| text.lines().filter_map(|line| line.strip_prefix(name).map(str::to_owned)).collect();
        let (mut ids, kinds): (Vec<String>, _) = (named("id: "), named("event: "));
        assert!(ids.len() < 2, "{text}");
        (ids.pop(), kinds)
    }

    #[test]
    fn of_one_execution_only_sequences_are_ids() {
        let snapshot =
            Kind::Snapshot(v1::ExecutionSnapshot { through_sequence: 7, ..v1::ExecutionSnapshot::default() });
        let heartbeat = |through_sequence| Kind::Heartbeat(v1::ExecutionHeartbeat { through_sequence });
        let text = Kind::TextDelta(v1::ExecutionTextDelta::default());
        let call = Kind::ToolCallDelta(v1::ExecutionToolCallDelta::default());
        for (sequence, kind, id, word) in [
            (0, snapshot, None, "snapshot"),
            (3, changed(v1::ExecutionStatus::Running), Some("3"), "state_changed"),
            (0, text, None, "text_delta"),
            (0, call, None, "tool_call_delta"),
            (0, heartbeat(0), None, "heartbeat"),
            (0, heartbeat(3), Some("3"), "heartbeat"),
        ] {
            let (found, kinds) = head(about_one(event(0, sequence, kind)).unwrap());
            assert_eq!((found.as_deref(), kinds), (id, vec![word.to_owned()]));
        }
    }

    #[test]
    fn the_terminal_event_is_followed_by_the_end() {
        let last = v1::ExecutionEvent { terminal: true, ..event(0, 4, changed(v1::ExecutionStatus::Failed)) };
        let text = about_one(last).unwrap().into_text();
        let (_, end) = text.split_once("\n\n").unwrap();
        assert_eq!(end, "event: end\ndata: {\"execution_id\":\"an-id\",\"status\":\"failed\"}\n\n");
    }

    #[test]
    fn of_many_executions_the_id_is_the_time_to_go_on_from() {
        let mut since = Since::default();
        let running = || changed(v1::ExecutionStatus::Running);
        let synced = || Kind::Synced(v1::ExecutionsSynced {});
        for (second, kind, id) in [
            (100, Kind::Snapshot(v1::ExecutionSnapshot::default()), None),
            // Before `synced` nothing moves.
            (150, running(), None),
            (101, synced(), Some("1970-01-01T00:01:40Z")),
            (90, running(), None),
            (130, running(), Some("1970-01-01T00:02:10Z")),
            (140, Kind::Heartbeat(v1::ExecutionHeartbeat::default()), None),
            (120, running(), None),
            (131, running(), Some("1970-01-01T00:02:11Z")),
        ] {
            let (found, _) = head(since.event(event(second, 1, kind)).unwrap());
            assert_eq!(found.as_deref(), id, "{second}");
        }
    }

    #[test]
    fn an_event_without_a_kind_is_an_internal_failure() {
        let none = v1::ExecutionEvent { kind: None, ..event(0, 1, Kind::Synced(v1::ExecutionsSynced {})) };
        assert!(about_one(none).is_err());
    }
}
