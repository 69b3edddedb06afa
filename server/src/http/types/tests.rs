use prompt_ledger_proto::v1;
use serde_json::{Value, json};

use super::execution::ExecutionJson;
use super::only;
use super::spec::SpecBody;
use super::words::{ExecutionModeWord, ExecutionStatusWord, ModeWord, ToolRuleWord, WireWord as _};

#[test]
fn of_several_selectors_none_is_taken() {
    assert_eq!(only::<i32>([("a", None), ("b", None)]).unwrap(), None);
    assert_eq!(only([("a", None), ("b", Some(2))]).unwrap(), Some(2));
    let error = only([("a", Some(1)), ("b", None), ("c", Some(3))]).unwrap_err();
    assert_eq!(error.parts().violations[0].field, "c");
}

fn moment(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 1_000 })
}

fn message() -> v1::ChatMessage {
    let text = v1::content_part::Part::Text("x".into());
    v1::ChatMessage {
        role: "user".into(),
        content: "hi".into(),
        parts: vec![v1::ContentPart { part: Some(text) }],
        name: "ada".into(),
        tool_calls: vec![v1::ToolCall { id: "1".into(), name: "t".into(), arguments: "{}".into() }],
        tool_call_id: "1".into(),
    }
}

fn params() -> v1::ModelParams {
    v1::ModelParams {
        temperature: Some(0.5),
        top_k: Some(2),
        top_p: Some(0.5),
        repetition_penalty: Some(1.5),
        max_new_tokens: Some(3),
        stop: Some(v1::StopSequences { values: vec!["x".into()] }),
        seed: Some(4),
        frequency_penalty: Some(0.5),
        presence_penalty: Some(0.25),
        reasoning_effort: Some("low".into()),
        extra: Some(super::values::wire(json!({"a": 1}).as_object().unwrap().clone())),
    }
}

fn tool() -> v1::Tool {
    v1::Tool {
        name: "t".into(),
        description: "d".into(),
        parameters_json: r#"{"type": "object", "b": 1, "a": 2}"#.into(),
        strict: true,
    }
}

fn choice() -> v1::ToolChoice {
    let rule = v1::tool_choice::Choice::Mode(ToolRuleWord::Required.wire());
    v1::ToolChoice { choice: Some(rule), parallel: Some(true) }
}

fn format() -> v1::ResponseFormat {
    let schema = v1::JsonSchema { name: "a".into(), schema_json: r#"{"x":  1}"#.into(), strict: true };
    v1::ResponseFormat { format: Some(v1::response_format::Format::JsonSchema(schema)) }
}

fn model() -> v1::ModelRef {
    v1::ModelRef { provider: "openai".into(), model_name: "m".into() }
}

/// An execution without a field that is absent: a new one must be given here, and so be told.
fn recorded() -> v1::Execution {
    let usage = v1::TokenUsage {
        prompt_tokens: Some(1),
        cached_prompt_tokens: Some(1),
        response_tokens: Some(1),
        cache_write_5m_tokens: Some(1),
        cache_write_1h_tokens: Some(1),
    };
    let attempt = v1::ExecutionAttempt {
        number: 1,
        worker: "w".into(),
        started_at: moment(1),
        ended_at: moment(2),
        error_type: "timeout".into(),
        provider_request_id: "r".into(),
        usage: Some(usage),
        error_message: "m".into(),
        latency_ms: Some(1),
        requests: 1,
    };
    v1::Execution {
        execution_id: "id".into(),
        project: "default".into(),
        prompt_id: "p".into(),
        prompt_name: "greet".into(),
        prompt_mode: ModeWord::Full.wire(),
        version_id: "v".into(),
        version_number: 1,
        checksum_hash: "c".into(),
        status: ExecutionStatusWord::Failed.wire(),
        mode: ExecutionModeWord::Sync.wire(),
        environment: "dev".into(),
        correlation_id: "c".into(),
        idempotency_key: "k".into(),
        rendered_prompt: "p".into(),
        messages: vec![message()],
        variables: Some(super::values::wire(json!({"a": 1}).as_object().unwrap().clone())),
        response_text: "r".into(),
        model: Some(model()),
        params: Some(params()),
        tools: vec![tool()],
        tool_choice: Some(choice()),
        response_format: Some(format()),
        prompt_tokens: Some(1),
        response_tokens: Some(1),
        latency_ms: Some(1),
        cost_nano_usd: Some(1),
        price_id: "p".into(),
        attempts: 1,
        attempt_log: vec![attempt],
        max_retries: 1,
        next_attempt_at: moment(1),
        error_type: "timeout".into(),
        error_message: "m".into(),
        finish_reason: "stop".into(),
        provider_request_id: "r".into(),
        prompt_truncated: true,
        response_truncated: true,
        created_at: moment(1),
        started_at: moment(1),
        completed_at: moment(1),
        timeout: Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }),
        expire_at: moment(1),
        cancel_requested_at: moment(1),
        cancel_reason: "c".into(),
        stream_text: true,
        cached_prompt_tokens: Some(1),
        cache_write_5m_tokens: Some(1),
        cache_write_1h_tokens: Some(1),
        response_model: "m".into(),
        retry_of: "id".into(),
        response_tool_calls: vec![v1::ToolCall { id: "1".into(), name: "t".into(), arguments: "{}".into() }],
        refused: true,
        label: "l".into(),
        metadata: [("a".to_owned(), "b".to_owned())].into(),
    }
}

/// The paths of values that say nothing.
fn absent(path: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Null => found.push(path.to_owned()),
        Value::Array(items) if items.is_empty() => found.push(path.to_owned()),
        Value::Array(items) => items.iter().for_each(|item| absent(path, item, found)),
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| absent(&format!("{path}.{name}"), value, found));
        }
        _ => {}
    }
}

#[test]
fn an_execution_tells_all_that_is_recorded() {
    let told = serde_json::to_string(&ExecutionJson::from(recorded())).unwrap();
    let json: Value = serde_json::from_str(&told).unwrap();
    let mut found = Vec::new();
    absent("", &json, &mut found);
    // Set by the call that executes; and a choice is a rule or a name.
    assert_eq!(found, [".reused", ".tool_choice.name"]);
    for (field, expected) in [
        ("/created_at", json!("1970-01-01T00:00:01.000001Z")),
        ("/timeout_ms", json!(1_500)),
        ("/status", json!("failed")),
        ("/telemetry/cost_usd", json!("0.000000001")),
        ("/telemetry/provider", json!("openai")),
        ("/tool_choice/mode", json!("required")),
        ("/attempt_log/0/cache_write_1h_tokens", json!(1)),
        ("/messages/0/parts/0/text", json!("x")),
    ] {
        assert_eq!(json.pointer(field), Some(&expected), "{field}");
    }
    // Byte for byte, in the order that models read.
    assert!(told.contains(r#""parameters":{"type": "object", "b": 1, "a": 2}"#), "{told}");
    assert!(told.contains(r#""schema":{"x":  1}"#), "{told}");
}

#[test]
fn what_says_nothing_is_null() {
    let json = serde_json::to_value(ExecutionJson::from(v1::Execution::default())).unwrap();
    for field in ["error_type", "response_text", "correlation_id", "messages", "created_at", "status", "timeout_ms"] {
        assert_eq!(json[field], Value::Null, "{field}");
    }
    assert_eq!((&json["tools"], &json["metadata"]), (&json!([]), &json!({})));
}

#[test]
fn a_spec_says_all_that_the_contract_takes() {
    let body = r#"{"prompt_name": "greet", "label": "l", "environment": "e", "variables": {"a": 1},
        "messages": [{"role": "user", "content": "hi", "parts": [{"text": "x"}], "name": "ada",
            "tool_calls": [{"id": "1", "name": "t", "arguments": "{}"}], "tool_call_id": "1"}],
        "model": {"provider": "openai", "model_name": "m"},
        "params": {"temperature": 0.5, "top_k": 2, "top_p": 0.5, "repetition_penalty": 1.5, "max_new_tokens": 3, "stop": ["x"],
            "seed": 4, "frequency_penalty": 0.5, "presence_penalty": 0.25, "reasoning_effort": "low", "extra": {"a": 1}},
        "tools": [{"name": "t", "description": "d", "parameters": {"type": "object", "b": 1, "a": 2}, "strict": true}],
        "tool_choice": {"mode": "required", "parallel": true},
        "response_format": {"json_schema": {"name": "a", "schema": {"x":  1}, "strict": true}},
        "correlation_id": "c", "metadata": {"a": "b"}, "idempotency_key": "k", "retry_failed": true, "timeout_ms": 1500,
        "expire_after_ms": 60000, "max_retries": 2, "stream_text": true, "min_revision": 3, "without": ["model"]}"#;
    let spec = serde_json::from_str::<SpecBody>(body).unwrap().wire().unwrap();
    let expected = v1::ExecutionSpec {
        prompt_name: "greet".into(),
        selector: Some(v1::execution_spec::Selector::Label("l".into())),
        environment: "e".into(),
        variables: recorded().variables,
        messages: vec![message()],
        model: Some(model()),
        params: Some(params()),
        correlation_id: "c".into(),
        idempotency_key: "k".into(),
        timeout: Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }),
        expire_after: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        max_retries: Some(2),
        stream_text: Some(true),
        min_revision: Some(3),
        tools: vec![tool()],
        tool_choice: Some(choice()),
        response_format: Some(format()),
        metadata: [("a".to_owned(), "b".to_owned())].into(),
        without: vec!["model".into()],
        retry_failed: true,
    };
    assert_eq!(spec, expected);
    let sent = serde_json::from_str::<SpecBody>(r#"{"prompt_name": "a"}"#).unwrap().wire().unwrap();
    assert_eq!(sent, v1::ExecutionSpec { prompt_name: "a".into(), ..v1::ExecutionSpec::default() });
}
