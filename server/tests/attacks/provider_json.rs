//! A model server whose responses consist of tiny JSON values: 4 MiB of them must cost no more than their bytes.

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use prompt_ledger_testkit::ledger::{Ledger, spec};
use tokio::task::JoinSet;

use crate::kit::{HUNG, Meter, ledger};

/// Concurrent calls.
const CALLS: usize = 30;
/// The length of one response, in bytes.
const ANSWER: usize = 4 * 1024 * 1024 - 1024;

/// `head`, as many tiny values as fill [`ANSWER`] bytes, and `tail`.
fn filled(head: &str, value: &str, tail: &str) -> String {
    let count = (ANSWER - head.len() - tail.len()) / (value.len() + 1);
    format!("{head}{}{tail}", vec![value; count].join(","))
}

/// Complete responses, each with a text of one word, and its tiny values elsewhere.
fn whole_answers() -> [String; 4] {
    let usage = r#""usage":{"prompt_tokens":3,"completion_tokens":1}"#;
    let choice = r#"{"message":{"content":"hi"},"finish_reason":"stop"}"#;
    [
        filled(&format!(r#"{{"choices":[{choice}],{usage},"more":["#), r#"{"a":0}"#, "]}"),
        filled(&format!(r#"{{{usage},"choices":[{choice},"#), "{}", "]}"),
        filled(&format!(r#"{{{usage},"choices":[{{"message":{{"content":[{{"text":"hi"}},"#), "{}", r#"]}}]}"#),
        filled(&format!(r#"{{"choices":[{choice}],{usage},"#), r#""a":{"a":0}"#, "}"),
    ]
}

/// Runs the same spec `calls` times at once; returns the executions as they ended.
pub(crate) async fn call_at_once(ledger: &Ledger, calls: usize, spec: &v1::ExecutionSpec) -> Vec<v1::Execution> {
    let mut running = JoinSet::new();
    for _ in 0..calls {
        let (mut client, spec) = (ledger.executions(), Some(spec.clone()));
        running.spawn(async move {
            let ran = client.run_execution(v1::RunExecutionRequest { spec }).await;
            ran.unwrap().into_inner().execution.unwrap()
        });
    }
    running.join_all().await
}

/// Executes against a model that responds like this.
async fn attack(name: &str, reply: Reply, streams: bool, expected: (&str, &str)) {
    let model = FakeModel::start().await;
    model.otherwise(reply);
    let ledger = ledger().openai(&model.base_url()).start().await;
    ledger.active("greet", "hello").await;
    let meter = Meter::start(&ledger).await;
    let spec = v1::ExecutionSpec { stream_text: Some(streams), ..spec("greet", &[]) };
    for ran in call_at_once(&ledger, CALLS, &spec).await {
        assert_eq!((&*ran.response_text, &*ran.error_type), expected, "{}", ran.error_message);
    }
    let toll = meter.finish(name);
    assert_eq!(toll.failed, 0, "{toll}");
    assert!(toll.slowest() < HUNG, "{toll}");
    // The bodies themselves, in buffers that grow by doubling, and some more.
    assert!(toll.grown_mib() < 400, "{toll}");
}

#[tokio::test]
async fn whole_answers_of_tiny_values_cost_their_bytes() {
    for (n, answer) in (1..).zip(whole_answers()) {
        attack(&format!("whole answers, form {n}"), Reply::status(200, answer), false, ("hi", "")).await;
    }
}

#[tokio::test]
async fn errors_of_tiny_values_cost_their_bytes() {
    let value = r#"{"a":0}"#;
    let told = filled(r#"{"error":{"code":429,"message":"no","more":["#, value, "]}}");
    attack("errors within a success", Reply::status(200, told.clone()), false, ("", "rate_limited")).await;
    attack("refusals", Reply::status(400, told), false, ("", "invalid_request")).await;
}

#[tokio::test]
async fn refusals_that_repeat_escapes_cost_their_start() {
    let model = FakeModel::start().await;
    let key = "sk-proj-0123456789";
    let message = format!("bad key {key}: {}", "%41".repeat(350_000));
    let refusal = format!(r#"{{"error":{{"message":"{message}"}}}}"#);
    model.otherwise(Reply::status(400, refusal));
    let ledger = ledger().openai(&model.base_url()).env("OPENAI_API_KEY", key).start().await;
    ledger.active("greet", "hello").await;
    let meter = Meter::start(&ledger).await;
    for ran in call_at_once(&ledger, CALLS, &spec("greet", &[])).await {
        assert!(ran.error_message.starts_with("bad key ***: %41"), "{}", ran.error_message);
        assert!(ran.error_message.len() <= 2 * 1024);
    }
    let toll = meter.finish("refusals of a megabyte of escapes");
    assert_eq!(toll.failed, 0, "{toll}");
    assert!(toll.slowest() < HUNG, "{toll}");
}

#[tokio::test]
async fn an_event_of_tiny_values_costs_its_bytes() {
    let head = r#"data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}],"more":["#;
    let event = filled(head, r#"{"a":0}"#, "]}\n\ndata: [DONE]\n\n");
    let pieces = event.as_bytes().chunks(64 * 1024).map(<[u8]>::to_vec);
    attack("events", Reply::events(pieces), true, ("hi", "")).await;
}
