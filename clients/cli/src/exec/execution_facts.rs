//! The facts of an execution, each with its name.

use prompt_ledger_client::v1;
use serde_json::Value;

use super::outcome;
use crate::contract_json;
use crate::money;

/// The most characters that are shown of JSON in a line, unless all is asked for.
const SHOWN: usize = 160;

/// What is known of it; a value that is empty is not known. `full`: long values whole.
pub(crate) fn of(execution: &v1::Execution, full: bool) -> Vec<(&'static str, String)> {
    let json = contract_json::write("Execution", execution);
    let word = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let value = |name: &str| json.get(name).map(|value| cut(value.to_string(), full)).unwrap_or_default();
    let moment = |at: Option<prost_types::Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    let metadata = if execution.metadata.is_empty() { String::new() } else { value("metadata") };
    let seconds = json.get("timeout").and_then(Value::as_str).unwrap_or_default().to_owned();
    vec![
        ("prompt", prompt(execution, &word("prompt_mode"))),
        ("content", execution.checksum_hash.clone()),
        ("model", model(execution)),
        ("params", value("params")),
        ("tools", if full { value("tools") } else { names(&execution.tools) }),
        ("tool choice", value("tool_choice")),
        ("response format", value("response_format")),
        ("variables", value("variables")),
        ("tokens", tokens(execution)),
        ("cost", execution.cost_nano_usd.map(money::dollars).unwrap_or_default()),
        ("latency", execution.latency_ms.map(|millis| format!("{millis} ms")).unwrap_or_default()),
        ("finish reason", execution.finish_reason.clone()),
        ("mode", word("mode")),
        ("environment", execution.environment.clone()),
        ("correlation id", execution.correlation_id.clone()),
        ("idempotency key", execution.idempotency_key.clone()),
        ("retry of", execution.retry_of.clone()),
        ("metadata", metadata),
        ("created", moment(execution.created_at)),
        ("started", moment(execution.started_at)),
        ("ended", moment(execution.completed_at)),
        ("next attempt", moment(execution.next_attempt_at)),
        ("expires", moment(execution.expire_at)),
        ("cancel asked", moment(execution.cancel_requested_at)),
        ("attempts", format!("{} of at most {}", execution.attempts, i64::from(execution.max_retries) + 1)),
        ("timeout", seconds),
        ("provider's id", execution.provider_request_id.clone()),
    ]
}

fn prompt(execution: &v1::Execution, mode: &str) -> String {
    let label = match &*execution.label {
        "" => String::new(),
        label => format!(", by label {label}"),
    };
    let mode = if mode.is_empty() { String::new() } else { format!(" ({mode} mode)") };
    format!("{} version {}{label}{mode}", execution.prompt_name, execution.version_number)
}

fn model(execution: &v1::Execution) -> String {
    let asked = outcome::model_name(execution.model.as_ref());
    match &*execution.response_model {
        "" => asked,
        answered if asked.ends_with(&format!("/{answered}")) => asked,
        answered => format!("{asked}, answered by {answered}"),
    }
}

fn tokens(execution: &v1::Execution) -> String {
    let sent = execution.prompt_tokens.map(|count| format!("{count} in"));
    let cached = execution.cached_prompt_tokens.map(|count| format!("{count} of them cached"));
    let got = execution.response_tokens.map(|count| format!("{count} out"));
    let all: Vec<String> = sent.into_iter().chain(cached).chain(got).collect();
    all.join(", ")
}

fn names(tools: &[v1::Tool]) -> String {
    let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
    names.join(", ")
}

fn cut(text: String, full: bool) -> String {
    if full || text.chars().count() <= SHOWN {
        return text;
    }
    let beginning: String = text.chars().take(SHOWN).collect();
    format!("{beginning}… (--full shows all)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_told_and_cut_unless_all_is_asked_for() {
        let execution = v1::Execution {
            prompt_name: "greet".into(),
            version_number: 2,
            label: "production".into(),
            prompt_mode: v1::PromptMode::Full.into(),
            model: Some(v1::ModelRef { provider: "openai".into(), model_name: "gpt".into() }),
            response_model: "gpt-2024".into(),
            prompt_tokens: Some(12),
            cached_prompt_tokens: Some(4),
            response_tokens: Some(3),
            cost_nano_usd: Some(2_500_000),
            params: Some(v1::ModelParams { temperature: Some(0.0), ..Default::default() }),
            timeout: Some(prost_types::Duration { seconds: 120, nanos: 0 }),
            tools: vec![v1::Tool { name: "weather".into(), ..Default::default() }],
            metadata: [("user".to_owned(), "x".repeat(200))].into(),
            attempts: 1,
            ..Default::default()
        };
        let facts = of(&execution, false);
        let fact = |name: &str| facts.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value);
        for (name, value) in [
            ("prompt", "greet version 2, by label production (full mode)"),
            ("model", "openai/gpt, answered by gpt-2024"),
            ("params", r#"{"temperature":0.0}"#),
            ("tools", "weather"),
            ("tokens", "12 in, 4 of them cached, 3 out"),
            ("cost", "$0.0025"),
            ("attempts", "1 of at most 1"),
            ("timeout", "120s"),
        ] {
            assert_eq!(fact(name), Some(value), "{name}");
        }
        assert!(fact("metadata").unwrap().ends_with("(--full shows all)"));
        assert_eq!((fact("retry of"), fact("variables")), (Some(""), Some("")));
        let whole = of(&execution, true);
        assert!(whole.iter().all(|(_, value)| !value.contains('…')), "{whole:?}");
    }
}
