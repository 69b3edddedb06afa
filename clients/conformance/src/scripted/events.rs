//! Messages of streams, written whole or, where they are events of executions, in short.

use std::time::Duration;

use prost_reflect::MessageDescriptor;
use serde_json::{Map, Value, json};

use super::body::Piece;
use crate::contract;

/// A field that no event has yet, with an empty message in it: number 100, length-delimited.
const UNKNOWN_KIND: [u8; 3] = [0xA2, 0x06, 0x00];

pub(super) fn piece(output: &MessageDescriptor, message: &Value) -> Result<Piece, String> {
    if let Some(gate) = message.get("gate") {
        return Ok(Piece::Gate(number(gate)?));
    }
    if let Some(wait) = message.get("wait") {
        return Ok(Piece::Wait(seconds(wait)?));
    }
    let Some(event) = output.get_field_by_name("event") else {
        return contract::encode(output.clone(), message).map(Piece::Message);
    };
    if message.get("event").is_some() {
        return contract::encode(output.clone(), message).map(Piece::Message);
    }
    if let Some(sequence) = message.get("unknown") {
        let kind = event.kind();
        let inner = kind.as_message().ok_or("an event is a message")?.clone();
        let mut inner = contract::encode(inner, &json!({"execution_id": id(message), "sequence": sequence}))?;
        inner.extend(UNKNOWN_KIND);
        let length = u8::try_from(inner.len()).ok().filter(|length| *length < 128).ok_or("the id is too long")?;
        // The field `event`: number 1, length-delimited.
        return Ok(Piece::Message([&[0x0A, length][..], &inner].concat()));
    }
    contract::encode(output.clone(), &json!({"event": event_of(message)?})).map(Piece::Message)
}

/// The event that a short form stands for.
fn event_of(short: &Value) -> Result<Value, String> {
    let mut event = Map::new();
    event.insert("execution_id".into(), json!(id(short)));
    if let Some(at) = short.get("at") {
        event.insert("at".into(), at.clone());
    }
    let part = |name: &str, at: usize| short[name].get(at).cloned().unwrap_or_default();
    let status = |name: &str, at: usize| match part(name, at) {
        Value::String(status) if !status.is_empty() => json!(format!("EXECUTION_STATUS_{status}")),
        _ => json!("EXECUTION_STATUS_UNSPECIFIED"),
    };
    let (kind, value) = if short.get("snapshot").is_some() {
        let mut snapshot = json!({"attempt": part("snapshot", 0), "through_sequence": part("snapshot", 1)});
        for key in ["reused", "execution", "status"] {
            if let Some(value) = short.get(key) {
                snapshot[key] = value.clone();
            }
        }
        ("snapshot", snapshot)
    } else if short.get("text").is_some() {
        let (attempt, offset) = (part("text", 0), part("text", 1));
        ("text_delta", json!({"attempt": attempt, "offset": offset, "text": part("text", 2)}))
    } else if let Some(through) = short.get("heartbeat") {
        ("heartbeat", json!({"through_sequence": through}))
    } else if short.get("synced").is_some() {
        ("synced", json!({}))
    } else {
        let name = if short.get("end").is_some() { "end" } else { "state" };
        if short.get(name).is_none() {
            return Err(format!("{short} is no message in short"));
        }
        event.insert("sequence".into(), part(name, 0));
        let mut changed = json!({"from": status(name, 1), "to": status(name, 2), "attempt": part(name, 3)});
        for key in ["error_type", "prompt_name"] {
            if let Some(value) = short.get(key) {
                changed[key] = value.clone();
            }
        }
        if name == "end" {
            event.insert("terminal".into(), json!(true));
            let mut execution = part(name, 4).as_object().cloned().unwrap_or_default();
            execution.insert("execution_id".into(), json!(id(short)));
            execution.insert("status".into(), status(name, 2));
            changed["execution"] = Value::Object(execution);
        }
        ("state_changed", changed)
    };
    event.insert(kind.into(), value);
    Ok(Value::Object(event))
}

fn id(short: &Value) -> &str {
    short.get("id").and_then(Value::as_str).unwrap_or("e1")
}

fn number(value: &Value) -> Result<usize, String> {
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| format!("{value} is no number of a pause"))
}

fn seconds(value: &Value) -> Result<Duration, String> {
    let seconds = value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| format!("{value} is no number of seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Contract;

    fn read(short: &Value) -> Value {
        let output = Contract::default().message("WatchExecutionResponse");
        match piece(&output, short).unwrap() {
            Piece::Message(bytes) => contract::decode(output, &bytes)["event"].clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn short_forms_stand_for_events() {
        assert_eq!(read(&json!({"text": [1, 4, "two"]}))["text_delta"]["offset"], 4);
        assert_eq!(read(&json!({"heartbeat": 3, "id": "e2"}))["execution_id"], "e2");
        let state = read(&json!({"state": [1, "", "QUEUED", 0]}));
        assert_eq!((&state["sequence"], &state["state_changed"]["to"]), (&json!(1), &json!("EXECUTION_STATUS_QUEUED")));
        let end = read(&json!({"end": [3, "RUNNING", "SUCCEEDED", 1, {"response_text": "hi"}]}));
        assert_eq!((&end["terminal"], &end["sequence"]), (&json!(true), &json!(3)));
        assert_eq!(end["state_changed"]["execution"]["response_text"], "hi");
        let unknown = read(&json!({"unknown": 2}));
        assert_eq!((&unknown["sequence"], unknown.as_object().unwrap().len()), (&json!(2), 2));
        let output = Contract::default().message("WatchExecutionResponse");
        assert!(piece(&output, &json!({"nothing": 1})).is_err());
        assert!(matches!(piece(&output, &json!({"gate": 1})), Ok(Piece::Gate(1))));
        let waited = piece(&output, &json!({"wait": 0.5}));
        assert!(matches!(waited, Ok(Piece::Wait(time)) if time == Duration::from_millis(500)));
        assert!(piece(&output, &json!({"wait": -1})).is_err());
    }
}
