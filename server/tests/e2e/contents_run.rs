//! Executions of chats and configs: what the provider gets, and what it answers.

use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{Ledger, carried, spec};
use prompt_ledger_testkit::values::variables;
use prompt_ledger_testkit::watch_record::WatchRecord;
use serde_json::{Value, json};

use super::contents::{chat, config, conversation, message, put_chat, tool, written};
use super::{ledger, ledger_with_model};

fn model(name: &str) -> v1::ModelRef {
    v1::ModelRef { provider: "openai".into(), model_name: name.into() }
}

fn asked(question: &str) -> v1::ExecutionSpec {
    let values = json!({"style": "a pirate", "question": question, "history": []});
    v1::ExecutionSpec { variables: Some(variables(&values)), ..spec("ask", &[]) }
}

async fn verified(ledger: &Ledger, id: &str) -> v1::VerifyExecutionResponse {
    let request = v1::VerifyExecutionRequest { execution_id: id.into() };
    ledger.executions().verify_execution(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_version_runs_exactly_as_it_was_tuned() {
    let (ledger, fake) = ledger_with_model().await;
    let tuned = v1::VersionConfig { model: Some(model("tuned")), ..config() };
    written(&ledger, put_chat("ask", conversation(), Some(tuned))).await;
    fake.next(Reply::answer("Arr"));
    let ran = ledger.run(asked("Where?")).await;
    let body = fake.last_request().body;
    let sent = json!([
        {"role": "system", "content": "Answer as a pirate."},
        {"role": "user", "content": "Where?"},
    ]);
    assert_eq!((&body["messages"], &body["model"]), (&sent, &json!("tuned")));
    assert_eq!((&body["temperature"], &body["seed"]), (&json!(0.0), &json!(7)));
    assert_eq!(body["tools"][0]["function"]["name"], "weather");
    assert_eq!((body.get("custom"), body.get("budget")), (None, None), "what is the owner's is not sent");
    assert_eq!(ran.messages, [message("system", "Answer as a pirate."), message("user", "Where?")]);
    assert_eq!((&*ran.rendered_prompt, &*ran.response_text), ("", "Arr"));
    assert_eq!((ran.params, ran.tools, ran.model), (config().params, config().tools, Some(model("tuned"))));
    let found = verified(&ledger, &ran.execution_id).await;
    assert_eq!(
        (found.result(), &found.sent_prompt_sha256),
        (v1::VerificationResult::Match, &found.rendered_prompt_sha256)
    );
}

#[tokio::test]
async fn what_a_request_names_wins_field_by_field_and_without_leaves_out() {
    let (ledger, fake) = ledger_with_model().await;
    let params = v1::ModelParams {
        temperature: Some(0.5),
        seed: Some(7),
        max_new_tokens: Some(9),
        extra: Some(variables(&json!({"logit_bias": {"1": 2}, "user": "u", "service_tier": "flex"}))),
        ..v1::ModelParams::default()
    };
    let tuned = v1::VersionConfig { model: Some(model("tuned")), params: Some(params), ..config() };
    written(&ledger, put_chat("ask", conversation(), Some(tuned))).await;
    let asked = v1::ExecutionSpec {
        model: Some(model("other")),
        params: Some(v1::ModelParams {
            temperature: Some(0.0),
            extra: Some(variables(&json!({"user": null, "logit_bias": {"3": 4}}))),
            ..v1::ModelParams::default()
        }),
        tools: vec![tool("time")],
        tool_choice: Some(v1::ToolChoice {
            choice: Some(v1::tool_choice::Choice::Name("time".into())),
            parallel: Some(false),
        }),
        without: vec!["params.seed".into(), "response_format".into()],
        ..asked("When?")
    };
    let ran = ledger.run(asked).await;
    let body = fake.last_request().body;
    let extra = json!({"3": 4.0});
    assert_eq!((&body["model"], &body["temperature"], body.get("seed")), (&json!("other"), &json!(0.0), None));
    assert_eq!(
        (body["logit_bias"]["3"].as_f64(), body.get("user"), &body["service_tier"]),
        (extra["3"].as_f64(), None, &json!("flex"))
    );
    assert_eq!(body["tools"].as_array().map(Vec::len), Some(1));
    assert_eq!(body["tool_choice"]["function"]["name"], "time");
    assert_eq!(body["parallel_tool_calls"], false);
    let shown = ran.params.unwrap();
    assert_eq!((shown.temperature, shown.seed, shown.max_new_tokens), (Some(0.0), None, Some(9)));
    assert_eq!(ran.tools, [tool("time")]);
    assert_eq!(ran.tool_choice.unwrap().parallel, Some(false));
    assert_eq!(verified(&ledger, &ran.execution_id).await.result(), v1::VerificationResult::Match);
}

#[tokio::test]
async fn a_queued_chat_is_sent_with_all_that_it_was_recorded_with() {
    let (ledger, fake) = ledger_with_model().await;
    let form = v1::ResponseFormat {
        format: Some(v1::response_format::Format::JsonSchema(v1::JsonSchema {
            name: "place".into(),
            schema_json: r#"{"type" : "object"}"#.into(),
            strict: true,
        })),
    };
    let tuned = v1::VersionConfig { response_format: Some(form.clone()), ..config() };
    written(&ledger, put_chat("ask", conversation(), Some(tuned))).await;
    fake.next(Reply::answer("{}"));
    let id = ledger.submit(v1::ExecutionSpec { model: Some(model("small")), ..asked("Where?") }).await;
    let ended = WatchRecord::whole(&mut ledger.watch(&id, 0).await.unwrap()).await.ended.unwrap();
    assert_eq!((ended.status(), ended.response_format), (v1::ExecutionStatus::Succeeded, Some(form)));
    let body = fake.last_request().body;
    assert_eq!(body["response_format"]["json_schema"]["schema"], json!({"type": "object"}));
    assert_eq!((&body["seed"], body["tools"].as_array().map(Vec::len)), (&json!(7), Some(1)));
    let basic = v1::ListExecutionsRequest::default();
    let listed = ledger.executions().list_executions(basic).await.unwrap().into_inner().executions.remove(0);
    assert_eq!((listed.params.unwrap().seed, listed.tools.len(), listed.response_format), (Some(7), 0, None));
}

/// A chunk of a stream in OpenAI's form with these pieces of calls, as (index, id, name, arguments).
fn chunk(calls: &[(i32, &str, &str, &str)]) -> String {
    let call = |(index, id, name, arguments): &(i32, &str, &str, &str)| {
        let mut call = json!({"index": index, "function": {"arguments": arguments}});
        if !name.is_empty() {
            call["id"] = json!(id);
            call["function"]["name"] = json!(name);
        }
        call
    };
    let calls: Vec<Value> = calls.iter().map(call).collect();
    let delta = json!({"choices": [{"index": 0, "delta": {"tool_calls": calls}, "finish_reason": null}]});
    format!("data: {delta}\n\n")
}

/// Two calls that take turns, after a text.
fn parallel() -> Vec<String> {
    let text = json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Let me see."}}]});
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]});
    vec![
        format!("data: {text}\n\n"),
        chunk(&[(0, "call_a", "weather", "")]),
        chunk(&[(0, "", "", "{\"city\"")]),
        chunk(&[(1, "call_b", "time", "{\"at\":")]),
        chunk(&[(0, "", "", ": \"Kö")]),
        chunk(&[(1, "", "", " 1}"), (0, "", "", "ln\"}")]),
        format!("data: {end}\n\ndata: [DONE]\n\n"),
    ]
}

fn calls() -> [v1::ToolCall; 2] {
    [("call_a", "weather", "{\"city\": \"Köln\"}"), ("call_b", "time", "{\"at\": 1}")]
        .map(|(id, name, arguments)| v1::ToolCall { id: id.into(), name: name.into(), arguments: arguments.into() })
}

#[tokio::test]
async fn parallel_calls_are_streamed_with_offsets_and_recorded() {
    let (ledger, fake) = ledger_with_model().await;
    written(&ledger, put_chat("ask", conversation(), Some(config()))).await;
    fake.next(Reply::events(parallel()).paced(Duration::from_millis(60)));
    let spec = v1::ExecutionSpec { model: Some(model("small")), ..asked("Weather?") };
    let record = WatchRecord::whole(&mut ledger.stream(spec).await).await;
    assert_eq!((&record.calls[..], &*record.text), (&calls()[..], "Let me see."));
    assert!(record.call_deltas.windows(2).any(|pair| pair == [1, 0]), "in turns: {:?}", record.call_deltas);
    let ended = record.ended.unwrap();
    assert_eq!((&ended.response_tool_calls[..], &*ended.response_text), (&calls()[..], "Let me see."));
    assert_eq!((&*ended.finish_reason, ended.response_truncated, ended.refused), ("tool_calls", false, false));
    let basic = ledger.executions().list_executions(v1::ListExecutionsRequest::default()).await.unwrap().into_inner();
    assert_eq!(basic.executions[0].response_tool_calls, []);
}

#[tokio::test]
async fn who_comes_late_gets_each_call_from_its_begin() {
    let (ledger, fake) = ledger_with_model().await;
    written(&ledger, put_chat("ask", conversation(), Some(config()))).await;
    let gate = Gate::new();
    fake.next(Reply::events(parallel()).held_after(6, &gate));
    let spec = v1::ExecutionSpec { model: Some(model("small")), stream_text: Some(true), ..asked("Weather?") };
    let id = ledger.submit(spec).await;
    fake.wait_for_calls(1).await;
    let mut early = ledger.watch(&id, 0).await.unwrap();
    let mut first = WatchRecord::new();
    first.read(&mut early, |record| record.calls == calls()).await;
    let mut late = ledger.watch(&id, 0).await.unwrap();
    let mut second = WatchRecord::new();
    second.read(&mut late, |record| record.calls == calls() && record.text == "Let me see.").await;
    gate.open();
    first.finish(&mut early).await;
    second.finish(&mut late).await;
    assert_eq!(first.ended.unwrap().response_tool_calls, calls());
    assert_eq!(second.calls, calls());
}

#[tokio::test]
async fn a_refusal_is_told_and_its_words_are_the_text() {
    let (ledger, fake) = ledger_with_model().await;
    written(&ledger, put_chat("ask", conversation(), None)).await;
    let message = json!({"role": "assistant", "content": null, "refusal": "I will not."});
    fake.next(Reply::json(&json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})));
    let ran = ledger.run(v1::ExecutionSpec { model: Some(model("small")), ..asked("How?") }).await;
    assert_eq!((ran.refused, &*ran.response_text), (true, "I will not."));
    assert_eq!(ran.status(), v1::ExecutionStatus::Succeeded);
}

#[tokio::test]
async fn what_a_tool_said_goes_back_to_the_model() {
    let (ledger, fake) = ledger_with_model().await;
    written(&ledger, put_chat("ask", conversation(), Some(config()))).await;
    let history = json!([
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "tool_calls": [{"id": "call_a", "name": "weather", "arguments": "{\"city\": \"Köln\"}"}]},
        {"role": "tool", "content": "rain", "tool_call_id": "call_a"},
    ]);
    let values = json!({"style": "a pirate", "question": "So?", "history": history});
    let spec =
        v1::ExecutionSpec { variables: Some(variables(&values)), model: Some(model("small")), ..spec("ask", &[]) };
    let ran = ledger.run(spec).await;
    assert_eq!(ran.messages[3].tool_call_id, "call_a");
    let sent = &fake.last_request().body["messages"];
    assert_eq!(sent[2]["tool_calls"][0]["function"]["arguments"], "{\"city\": \"Köln\"}");
    assert_eq!((&sent[3]["role"], &sent[3]["tool_call_id"]), (&json!("tool"), &json!("call_a")));
}

/// An answer of Anthropic's as a stream: a text, then a call whose input comes in pieces.
fn anthropic_call() -> Vec<String> {
    let block =
        |index: i32, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta = |index: i32, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let json = |partial: &str| delta(1, json!({"type": "input_json_delta", "partial_json": partial}));
    let events = [
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude", "content": []}}),
        block(0, json!({"type": "text", "text": ""})),
        delta(0, json!({"type": "text_delta", "text": "Let me see."})),
        block(1, json!({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}})),
        json("{\"city\""),
        json(": \"Köln\"}"),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}}),
        json!({"type": "message_stop"}),
    ];
    events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_chat_with_tools_goes_to_anthropic_and_back_again() {
    let fake = FakeModel::start().await;
    let ledger = ledger()
        .env("PROVIDER_CLAUDE_KIND", "anthropic")
        .env("PROVIDER_CLAUDE_BASE_URL", fake.anthropic_url())
        .start()
        .await;
    let claude = v1::ModelRef { provider: "claude".into(), model_name: "small".into() };
    let tuned = v1::VersionConfig { model: Some(claude), params: None, ..config() };
    written(&ledger, put_chat("ask", conversation(), Some(tuned))).await;
    fake.next(Reply::events(anthropic_call()));
    let record = WatchRecord::whole(&mut ledger.stream(asked("Weather?")).await).await;
    let ended = record.ended.unwrap();
    let body = fake.last_request().body;
    assert_eq!((&body["system"], &body["messages"][0]["role"]), (&json!("Answer as a pirate."), &json!("user")));
    assert_eq!((&body["tools"][0]["name"], &body["max_tokens"]), (&json!("weather"), &json!(4096)));
    assert_eq!(body["tools"][0]["input_schema"]["properties"]["city"]["type"], "string");
    let call = v1::ToolCall { id: "toolu_1".into(), name: "weather".into(), arguments: "{\"city\": \"Köln\"}".into() };
    assert_eq!((&record.calls[..], &*record.text), (&[call.clone()][..], "Let me see."));
    assert_eq!((&ended.response_tool_calls[..], &*ended.finish_reason), (&[call.clone()][..], "tool_calls"));
    assert_eq!((ended.response_tokens, &*ended.response_model), (Some(7), "claude"));
    let history = json!([
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": ended.response_text, "tool_calls": [
            {"id": call.id, "name": call.name, "arguments": call.arguments}]},
        {"role": "tool", "content": "rain", "tool_call_id": "toolu_1"},
    ]);
    let values = json!({"style": "a pirate", "question": "So?", "history": history});
    fake.next(Reply::answer("Wet."));
    let ran = ledger.run(v1::ExecutionSpec { variables: Some(variables(&values)), ..spec("ask", &[]) }).await;
    assert_eq!(ran.response_text, "Wet.");
    let sent = &fake.last_request().body["messages"];
    assert_eq!(
        sent[1]["content"][1],
        json!({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Köln"}})
    );
    let told = json!([
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain"},
        {"type": "text", "text": "So?"},
    ]);
    assert_eq!((&sent[2]["role"], &sent[2]["content"]), (&json!("user"), &told));
}

#[tokio::test]
async fn what_was_asked_for_before_a_failure_or_a_cancellation_is_recorded() {
    let (ledger, fake) = ledger_with_model().await;
    written(&ledger, put_chat("ask", conversation(), Some(config()))).await;
    let spec = || v1::ExecutionSpec { model: Some(model("small")), ..asked("Weather?") };
    let half = || parallel().into_iter().take(3);
    let call = v1::ToolCall { id: "call_a".into(), name: "weather".into(), arguments: "{\"city\"".into() };
    fake.next(Reply::events(half()));
    let failed = ledger.run(spec()).await;
    assert_eq!((failed.status(), &*failed.error_type), (v1::ExecutionStatus::Failed, "connection"));
    assert_eq!((&*failed.response_text, &failed.response_tool_calls[..]), ("Let me see.", &[call.clone()][..]));
    let never = Gate::new();
    fake.next(Reply::events(parallel()).held_after(3, &never));
    let id = ledger.submit(v1::ExecutionSpec { stream_text: Some(true), ..spec() }).await;
    let mut stream = ledger.watch(&id, 0).await.unwrap();
    let mut record = WatchRecord::new();
    record.read(&mut stream, |record| record.calls == [call.clone()]).await;
    let cancel = v1::CancelExecutionRequest { execution_id: id, reason: "enough".into() };
    ledger.executions().cancel_execution(cancel).await.unwrap();
    record.finish(&mut stream).await;
    let ended = record.ended.unwrap();
    assert_eq!(ended.status(), v1::ExecutionStatus::Canceled);
    assert_eq!((&*ended.response_text, &ended.response_tool_calls[..]), ("Let me see.", &[call][..]));
}

#[tokio::test]
async fn everything_can_be_tried_offline() {
    let ledger = ledger().start().await;
    written(&ledger, put_chat("ask", conversation(), Some(config()))).await;
    let ran = ledger.run(asked("Where?")).await;
    assert_eq!((&*ran.response_text, ran.response_tool_calls.len()), ("Where?", 0));
    let choice = v1::ToolChoice { choice: Some(v1::tool_choice::Choice::Name("weather".into())), parallel: None };
    let record = v1::ExecutionSpec { tool_choice: Some(choice), ..asked("Where?") };
    let record = WatchRecord::whole(&mut ledger.stream(record).await).await;
    let ended = record.ended.unwrap();
    assert_eq!((&record.calls, &*ended.finish_reason), (&ended.response_tool_calls, "tool_calls"));
    assert_eq!((&*record.calls[0].name, &*record.calls[0].arguments), ("weather", "{}"));
}

#[tokio::test]
async fn code_executes_its_chat_by_the_hash_that_registration_answered_or_by_messages() {
    let ledger = ledger().start().await;
    let carried = v1::CodePrompt {
        template: Some(v1::code_prompt::Template::ChatTemplate(conversation())),
        ..carried("ask", "")
    };
    let registered = ledger.carry(vec![carried.clone()]).await.remove(0);
    let other = chat(vec![v1::chat_template_entry::Entry::Message(message("user", "Hi"))]);
    let newer = v1::CodePrompt { template: Some(v1::code_prompt::Template::ChatTemplate(other)), ..carried };
    ledger.carry(vec![newer]).await;
    let selector = Some(v1::execution_spec::Selector::ChecksumHash(registered.checksum_hash));
    let ran = ledger.run_code(v1::ExecutionSpec { selector: selector.clone(), ..asked("Where?") }).await;
    assert_eq!((ran.version_number, ran.messages.len(), &*ran.response_text), (1, 2, "Where?"));
    assert_eq!(verified(&ledger, &ran.execution_id).await.result(), v1::VerificationResult::Match);
    let named = v1::ChatMessage { name: "ada".into(), ..message("user", "Here!") };
    let given = v1::ExecutionSpec { selector, messages: vec![named.clone()], ..spec("ask", &[]) };
    let ran = ledger.run_code(v1::ExecutionSpec { variables: None, ..given }).await;
    assert_eq!((&ran.messages[..], &*ran.response_text), (&[named][..], "Here!"));
    assert_eq!(verified(&ledger, &ran.execution_id).await.result(), v1::VerificationResult::NotRendered);
}

#[tokio::test]
async fn a_repeat_under_a_key_is_the_same_request_only_where_everything_is() {
    let ledger = ledger().start().await;
    written(&ledger, put_chat("ask", conversation(), Some(config()))).await;
    let keyed = v1::ExecutionSpec { idempotency_key: "k".into(), ..asked("Where?") };
    let first = ledger.run(keyed.clone()).await;
    assert_eq!(ledger.run(keyed.clone()).await.execution_id, first.execution_id);
    for other in [
        v1::ExecutionSpec { tools: vec![tool("time")], ..keyed.clone() },
        v1::ExecutionSpec { without: vec!["tools".into()], ..keyed.clone() },
        v1::ExecutionSpec { params: Some(v1::ModelParams { seed: Some(0), ..Default::default() }), ..keyed },
    ] {
        let request = v1::RunExecutionRequest { spec: Some(other) };
        let again = ledger.executions().run_execution(request).await;
        super::refused(again, tonic::Code::AlreadyExists, "IDEMPOTENCY_KEY_REUSED");
    }
}
