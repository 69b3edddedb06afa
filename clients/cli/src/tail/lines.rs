//! Changes as lines, where there is no terminal.

use prompt_ledger_client::{StateChange, TailUpdate, v1};
use prost_types::Timestamp;

use crate::update_json::status;

/// The line for an update; absent where it has none.
pub(super) fn told(update: &TailUpdate) -> Option<String> {
    match update {
        TailUpdate::Found { execution, .. } => {
            let at = execution.completed_at.or(execution.started_at).or(execution.created_at);
            let stands = status(execution.status());
            Some(line(at, &execution.execution_id, &stands, &execution.prompt_name, &facts(execution)))
        }
        TailUpdate::Changed { change, execution } => {
            let what = match change.from {
                v1::ExecutionStatus::Unspecified => status(change.to),
                from => format!("{} -> {}", status(from), status(change.to)),
            };
            let facts = execution.as_deref().map_or_else(|| steps(change), facts);
            Some(line(change.at, &change.execution_id, &what, &change.prompt_name, &facts))
        }
        _ => None,
    }
}

/// The parts of the line for a change that is no end.
fn steps(change: &StateChange) -> Vec<String> {
    let attempt = (change.attempt > 0).then(|| format!("attempt {}", change.attempt));
    let error = (!change.error_type.is_empty()).then(|| change.error_type.clone());
    attempt.into_iter().chain(error).collect()
}

fn line(at: Option<Timestamp>, id: &str, what: &str, prompt: &str, facts: &[String]) -> String {
    let at = at.map(|at| at.to_string()).unwrap_or_default();
    let line = format!("{at:27}  {id}  {what:20}  {prompt}  {}", facts.join(", "));
    line.trim_end().to_owned()
}

/// The parts of the line for an ended execution.
fn facts(execution: &v1::Execution) -> Vec<String> {
    let attempts = (execution.attempts > 1).then(|| format!("{} attempts", execution.attempts));
    let latency = execution.latency_ms.map(|millis| format!("{millis} ms"));
    let error = (!execution.error_type.is_empty()).then(|| execution.error_type.clone());
    attempts.into_iter().chain(latency).chain(error).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use v1::ExecutionStatus::{Failed, Queued, Running, Unspecified};

    fn changed(from: v1::ExecutionStatus, to: v1::ExecutionStatus, execution: Option<v1::Execution>) -> TailUpdate {
        let change = StateChange {
            execution_id: "e".into(),
            sequence: 1,
            at: Some(Timestamp::default()),
            from,
            to,
            attempt: 1,
            error_type: if to == Queued { "timeout".into() } else { String::new() },
            next_attempt_at: None,
            prompt_name: "greet".into(),
        };
        TailUpdate::Changed { change, execution: execution.map(Box::new) }
    }

    #[test]
    fn each_change_is_a_line_with_its_prompt() {
        let mut execution = v1::Execution {
            execution_id: "e".into(),
            prompt_name: "greet".into(),
            created_at: Some(Timestamp::default()),
            ..v1::Execution::default()
        };
        execution.set_status(Queued);
        let ended = v1::Execution {
            attempts: 2,
            latency_ms: Some(7),
            error_type: "timeout".into(),
            completed_at: Some(Timestamp::default()),
            ..execution.clone()
        };
        let found = TailUpdate::Found { sequence: 1, execution: Box::new(execution) };
        let lines: Vec<_> = [
            changed(Unspecified, Running, None),
            found,
            changed(Running, Queued, None),
            TailUpdate::Synced,
            changed(Running, Failed, Some(ended)),
            changed(Unspecified, Running, None),
        ]
        .iter()
        .filter_map(told)
        .map(|line| line.split_whitespace().skip(2).collect::<Vec<_>>().join(" "))
        .collect();
        let expected = [
            "running greet attempt 1",
            "queued greet",
            "running -> queued greet attempt 1, timeout",
            "running -> failed greet 2 attempts, 7 ms, timeout",
            "running greet attempt 1",
        ];
        assert_eq!(lines, expected);
    }
}
