//! Updates of a watch and of a tail as JSON lines. Names are those of the proto files.

use prompt_ledger_client::{StateChange, TailUpdate, Update, v1};
use serde_json::{Map, Value, json};

use crate::contract_json;

/// What the lines of a watch hold, for the helps of commands.
pub(crate) const WATCH_LINES: &str =
    "  state      `execution_id`, `sequence` (1 for the first), `at`, `from` (absent at first), `to`,
             `attempt`; `error_type` and `next_attempt_at` where an attempt failed
  text       `attempt`, `offset` (where it begins, in bytes of the attempt's text), `text`
  restarted  `attempt`, which writes its text anew: drop the text so far
  ended      `execution`, an Execution of the contract";

/// What the lines of a tail hold.
pub(crate) const TAIL_LINES: &str =
    "  found      what there was: `execution_id`, `sequence` (of its last change), `execution`
  synced     all that there was is told
  state      as in `ledgerctl watch`, with `prompt_name`, and `execution` where it ended";

/// An update of a watch; absent where this version does not know it.
pub(crate) fn update(update: &Update) -> Option<Value> {
    Some(match update {
        Update::Joined { execution_id } => json!({"kind": "joined", "execution_id": execution_id}),
        Update::State(change) => state(change),
        Update::Restarted { attempt } => json!({"kind": "restarted", "attempt": attempt}),
        Update::Text { attempt, offset, text } => {
            json!({"kind": "text", "attempt": attempt, "offset": offset, "text": text})
        }
        Update::Ended(ended) => json!({"kind": "ended", "execution": execution(ended)}),
        _ => return None,
    })
}

/// An update of a tail; absent where this version does not know it.
pub(crate) fn tail(update: &TailUpdate) -> Option<Value> {
    Some(match update {
        TailUpdate::Found { sequence, execution: found } => {
            json!({"kind": "found", "execution_id": found.execution_id, "sequence": sequence, "execution": execution(found)})
        }
        TailUpdate::Synced => json!({"kind": "synced"}),
        TailUpdate::Changed { change, execution: ended } => {
            let mut line = state(change);
            if let Some(ended) = ended {
                line["execution"] = execution(ended);
            }
            line
        }
        _ => return None,
    })
}

fn state(change: &StateChange) -> Value {
    let mut line = Map::new();
    line.insert("kind".into(), "state".into());
    line.insert("execution_id".into(), change.execution_id.as_str().into());
    line.insert("sequence".into(), change.sequence.into());
    line.insert("at".into(), change.at.map(|at| at.to_string()).into());
    if change.from != v1::ExecutionStatus::Unspecified {
        line.insert("from".into(), status(change.from).into());
    }
    line.insert("to".into(), status(change.to).into());
    line.insert("attempt".into(), change.attempt.into());
    if !change.prompt_name.is_empty() {
        line.insert("prompt_name".into(), change.prompt_name.as_str().into());
    }
    if !change.error_type.is_empty() {
        line.insert("error_type".into(), change.error_type.as_str().into());
    }
    if let Some(next) = change.next_attempt_at {
        line.insert("next_attempt_at".into(), next.to_string().into());
    }
    line.into()
}

fn execution(execution: &v1::Execution) -> Value {
    contract_json::write("Execution", execution)
}

/// A status as one lower-case word.
pub(crate) fn status(status: v1::ExecutionStatus) -> String {
    status.as_str_name().trim_start_matches("EXECUTION_STATUS_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use v1::ExecutionStatus as Status;

    fn change() -> StateChange {
        StateChange {
            execution_id: "e".into(),
            sequence: 3,
            at: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
            from: Status::Running,
            to: Status::Queued,
            attempt: 1,
            error_type: "timeout".into(),
            next_attempt_at: Some(prost_types::Timestamp { seconds: 5, nanos: 0 }),
            prompt_name: String::new(),
        }
    }

    /// Whether the help has the kind as a line's first word, and all its fields.
    fn is_documented(line: &Value, help: &str) {
        let kind = line["kind"].as_str().unwrap();
        let (_, told) = help.split_once(&format!("  {kind} ")).unwrap_or_else(|| panic!("{kind} is not told"));
        // Up to the next kind; a line that goes on is indented further.
        let end = told.match_indices("\n  ").find(|(at, _)| !told[at + 3..].starts_with(' '));
        let told = &told[..end.map_or(told.len(), |(at, _)| at)];
        for field in line.as_object().unwrap().keys().filter(|field| *field != "kind") {
            assert!(told.contains(&format!("`{field}`")), "{kind}: {field} is not told: {told}");
        }
    }

    #[test]
    fn updates_of_a_watch_are_lines_with_the_contracts_names() {
        let ended = v1::Execution { execution_id: "e".into(), latency_ms: Some(7), ..v1::Execution::default() };
        for (told, line) in [
            (Update::Joined { execution_id: "e".into() }, r#"{"execution_id":"e","kind":"joined"}"#),
            (
                Update::State(change()),
                r#"{"at":"1970-01-01T00:00:00Z","attempt":1,"error_type":"timeout","execution_id":"e","from":"running","kind":"state","next_attempt_at":"1970-01-01T00:00:05Z","sequence":3,"to":"queued"}"#,
            ),
            (
                Update::State(StateChange {
                    from: Status::Unspecified,
                    error_type: String::new(),
                    next_attempt_at: None,
                    prompt_name: "greet".into(),
                    ..change()
                }),
                r#"{"at":"1970-01-01T00:00:00Z","attempt":1,"execution_id":"e","kind":"state","prompt_name":"greet","sequence":3,"to":"queued"}"#,
            ),
            (Update::Restarted { attempt: 2 }, r#"{"attempt":2,"kind":"restarted"}"#),
            (
                Update::Text { attempt: 1, offset: 4, text: "a\nb".into() },
                r#"{"attempt":1,"kind":"text","offset":4,"text":"a\nb"}"#,
            ),
            (Update::Ended(Box::new(ended)), r#"{"execution":{"execution_id":"e","latency_ms":7},"kind":"ended"}"#),
        ] {
            let written = update(&told).unwrap();
            assert_eq!(written, serde_json::from_str::<Value>(line).unwrap());
            if written["kind"] != "joined" && written.get("prompt_name").is_none() {
                is_documented(&written, WATCH_LINES);
            }
        }
    }

    #[test]
    fn updates_of_a_tail_are_lines_too() {
        let execution = Box::new(v1::Execution { execution_id: "e".into(), ..v1::Execution::default() });
        let found = tail(&TailUpdate::Found { sequence: 2, execution: execution.clone() }).unwrap();
        assert_eq!(
            (&found["kind"], &found["execution_id"], &found["sequence"]),
            (&json!("found"), &json!("e"), &json!(2))
        );
        assert_eq!(tail(&TailUpdate::Synced).unwrap(), json!({"kind": "synced"}));
        let ended = tail(&TailUpdate::Changed { change: change(), execution: Some(execution) }).unwrap();
        assert_eq!((&ended["to"], &ended["execution"]["execution_id"]), (&json!("queued"), &json!("e")));
        let ran = tail(&TailUpdate::Changed { change: change(), execution: None }).unwrap();
        assert!(ran.get("execution").is_none());
        is_documented(&found, TAIL_LINES);
        is_documented(&json!({"kind": "synced"}), TAIL_LINES);
        is_documented(&json!({"kind": "state", "prompt_name": "greet", "execution": {}}), TAIL_LINES);
    }
}
