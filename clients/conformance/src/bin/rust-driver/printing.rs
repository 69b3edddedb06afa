//! What the user saw, as JSON.

use prompt_ledger_client::v1::{self, prompt_version};
use prompt_ledger_client::{ExecutionFailed, LedgerError, StateChange, WatchError};
use serde_json::{Map, Value, json};

/// Why a step did not do what it was to do.
pub(crate) enum StepFailure {
    Unsupported,
    Call(LedgerError),
    Watch(WatchError),
    Execution(ExecutionFailed),
}

impl From<LedgerError> for StepFailure {
    fn from(error: LedgerError) -> Self {
        Self::Call(error)
    }
}

impl From<WatchError> for StepFailure {
    fn from(error: WatchError) -> Self {
        Self::Watch(error)
    }
}

impl From<ExecutionFailed> for StepFailure {
    fn from(error: ExecutionFailed) -> Self {
        Self::Execution(error)
    }
}

impl StepFailure {
    /// The line that tells it: what it says that was seen, and its fields.
    pub(crate) fn told(self) -> (&'static str, Value) {
        let of_client =
            |class: &str, error: &dyn std::error::Error| json!({"class": class, "message": error.to_string()});
        let fields = match self {
            Self::Unsupported => return ("unsupported", json!({})),
            Self::Call(error) => call(&error),
            Self::Watch(WatchError::Refused(status)) => call(&LedgerError::from(*status)),
            Self::Watch(error @ WatchError::GaveUp { .. }) => of_client("GaveUp", &error),
            Self::Watch(error @ WatchError::NotResumable(_)) => of_client("NotResumable", &error),
            Self::Watch(error @ WatchError::Unreadable) => of_client("Unreadable", &error),
            Self::Watch(error @ WatchError::TimedOut(_)) => {
                json!({"class": "DeadlineExceeded", "code": "DEADLINE_EXCEEDED", "message": error.to_string()})
            }
            Self::Execution(error) => json!({
                "class": "ExecutionFailed", "message": error.to_string(), "execution_id": error.execution_id,
                "status": status(error.status), "error_type": error.error_type,
            }),
        };
        ("error", fields)
    }
}

fn call(error: &LedgerError) -> Value {
    let class = match error.reason {
        v1::ErrorReason::Unspecified => format!("{:?}", error.code),
        reason => format!("{reason:?}"),
    };
    let fields: Map<String, Value> = error.fields.iter().map(|(name, wrong)| (name.clone(), json!(wrong))).collect();
    json!({
        "class": class, "code": screaming(&format!("{:?}", error.code)), "reason": error.reason_sent, "fields": fields,
        "missing": error.missing(), "metadata": error.metadata, "message": error.message,
        "retry_after": error.retry_after.map(|delay| delay.as_secs_f64()),
    })
}

/// `NotFound` as `NOT_FOUND`.
fn screaming(camel: &str) -> String {
    let mut name = String::new();
    for letter in camel.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// The name of an enum's value without that of the enum; null for `UNSPECIFIED`.
fn word(name: &str, prefix: &str) -> Value {
    match name.strip_prefix(prefix) {
        None | Some("UNSPECIFIED") => Value::Null,
        Some(word) => json!(word),
    }
}

pub(crate) fn status(status: v1::ExecutionStatus) -> Value {
    word(status.as_str_name(), "EXECUTION_STATUS_")
}

pub(crate) fn execution(execution: &v1::Execution) -> Value {
    let calls: Vec<Value> = execution
        .response_tool_calls
        .iter()
        .map(|call| json!({"id": call.id, "name": call.name, "arguments": call.arguments}))
        .collect();
    json!({
        "execution_id": execution.execution_id, "status": status(execution.status()),
        "mode": word(execution.mode().as_str_name(), "EXECUTION_MODE_"), "prompt_name": execution.prompt_name,
        "version_number": execution.version_number, "checksum_hash": execution.checksum_hash, "label": execution.label,
        "text": execution.response_text, "tool_calls": calls, "finish_reason": execution.finish_reason,
        "error_type": execution.error_type, "error_message": execution.error_message, "attempts": execution.attempts,
        "cancel_reason": execution.cancel_reason, "correlation_id": execution.correlation_id,
        "idempotency_key": execution.idempotency_key, "rendered_prompt": execution.rendered_prompt,
    })
}

pub(crate) fn change(change: &StateChange) -> Value {
    json!({
        "execution_id": change.execution_id, "sequence": change.sequence, "from": status(change.from),
        "to": status(change.to), "attempt": change.attempt, "error_type": change.error_type,
        "prompt_name": change.prompt_name,
    })
}

/// A prompt, with the text of the version that came with it, where one did.
pub(crate) fn prompt(prompt: &v1::Prompt, version: Option<&v1::PromptVersion>) -> Value {
    let labels: Map<String, Value> =
        prompt.labels.iter().map(|held| (held.label.clone(), json!(held.version_number))).collect();
    json!({
        "name": prompt.name, "mode": word(prompt.mode().as_str_name(), "PROMPT_MODE_"),
        "description": prompt.description, "owner_team": prompt.owner_team, "tags": prompt.tags,
        "active_version": prompt.active_version_number, "latest_version": prompt.latest_version_number,
        "labels": labels, "archived": prompt.archived_at.is_some(), "template": version.map(template),
        "checksum_hash": version.map(|version| &version.checksum_hash),
    })
}

pub(crate) fn version(version: &v1::PromptVersion) -> Value {
    json!({
        "version": version.version_number, "status": word(version.status().as_str_name(), "VERSION_STATUS_"),
        "template": template(version), "checksum_hash": version.checksum_hash, "labels": version.labels,
        "execution_count": version.execution_count,
    })
}

/// The text of a version; null where it is a chat.
pub(crate) fn template(version: &v1::PromptVersion) -> Value {
    match &version.template {
        Some(prompt_version::Template::TemplateSource(text)) => json!(text),
        _ => Value::Null,
    }
}

pub(crate) fn prompt_change(change: &v1::PromptChangeEntry) -> Value {
    json!({
        "name": change.prompt_name, "kind": word(change.kind().as_str_name(), "PROMPT_CHANGE_KIND_"),
        "version": change.version_number, "label": change.label, "from": change.from_value, "to": change.to_value,
    })
}

pub(crate) fn registered(prompt: &v1::RegisteredPrompt) -> Value {
    json!({
        "name": prompt.name, "action": word(prompt.action().as_str_name(), "REGISTRATION_ACTION_"),
        "version": prompt.version, "change_detected": prompt.change_detected,
        "previous_version": prompt.previous_version, "checksum_hash": prompt.checksum_hash,
    })
}
