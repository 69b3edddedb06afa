//! Running executions and looking them up again.

use std::time::Duration;

use prompt_ledger_proto::v1::{self, execution_spec};
use prompt_ledger_testkit::fake_model::Reply;
use prompt_ledger_testkit::ledger::{Ledger, put, spec};
use prompt_ledger_testkit::poll::eventually;
use tonic::{Code, Request};

use super::{ledger, ledger_with_model, refused};

/// Longer than any step takes, also on a busy machine.
const GENEROUS: Duration = Duration::from_secs(60);

async fn get(ledger: &Ledger, id: &str) -> v1::Execution {
    let request = v1::GetExecutionRequest { execution_id: id.into(), ..v1::GetExecutionRequest::default() };
    ledger.executions().get_execution(request).await.unwrap().into_inner().execution.unwrap()
}

#[tokio::test]
async fn an_execution_is_recorded_byte_for_byte() {
    let (ledger, model) = ledger_with_model().await;
    let version = ledger.active("greet", "Hi {{name}}!\r\n").await.version.unwrap();
    model.next(Reply::answer("Hello, Ada.").header("x-request-id", "req-7"));
    let sent = v1::ExecutionSpec {
        environment: "prod".into(),
        correlation_id: "order-1".into(),
        params: Some(v1::ModelParams {
            temperature: Some(0.5),
            top_k: Some(4),
            top_p: Some(0.9),
            repetition_penalty: Some(1.1),
            max_new_tokens: Some(64),
            ..v1::ModelParams::default()
        }),
        ..spec("greet", &[("name", "Ada")])
    };
    let ran = ledger.run(sent.clone()).await;

    assert_eq!(ran, get(&ledger, &ran.execution_id).await, "the answer is what is stored");
    assert_eq!((ran.status(), ran.mode()), (v1::ExecutionStatus::Succeeded, v1::ExecutionMode::Sync));
    assert_eq!((&*ran.rendered_prompt, &*ran.response_text), ("Hi Ada!\r\n", "Hello, Ada."));
    assert_eq!((ran.version_id, ran.checksum_hash), (version.version_id, version.checksum_hash));
    assert_eq!((ran.variables, ran.params), (sent.variables, sent.params));
    assert_eq!((&*ran.environment, &*ran.correlation_id, &*ran.project), ("prod", "order-1", "default"));
    assert_eq!((ran.prompt_mode, ran.version_number), (v1::PromptMode::Full.into(), 1));
    assert_eq!((&*ran.finish_reason, &*ran.provider_request_id, &*ran.error_type), ("stop", "req-7", ""));
    assert!(ran.prompt_tokens.is_some() && ran.response_tokens.is_some() && ran.latency_ms.is_some());
    assert!(ran.created_at.is_some() && ran.started_at.is_some() && ran.completed_at.is_some());
    assert_eq!((ran.attempts, ran.attempt_log.len(), ran.max_retries), (1, 1, 0));
    assert_eq!(ran.attempt_log[0].provider_request_id, "req-7");
    assert!(ran.cost_nano_usd.is_some() && !ran.price_id.is_empty());

    let body = &model.last_request().body;
    assert_eq!(body["messages"], serde_json::json!([{"role": "user", "content": "Hi Ada!\r\n"}]));
    assert_eq!(body["model"], "gpt-4o-mini");
}

#[tokio::test]
async fn every_answer_of_run_is_what_get_answers() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "Hi {{name}}!").await;
    let plain = || spec("greet", &[("name", "Ada")]);
    let long = "x".repeat(600_000);
    let replies = [
        (Reply::answer("Hello."), v1::ExecutionSpec { idempotency_key: "order-1".into(), ..plain() }),
        (
            Reply::answer(""),
            v1::ExecutionSpec { expire_after: Some(prost_types::Duration { seconds: 60, nanos: 0 }), ..plain() },
        ),
        (Reply::answer(&long), plain()),
        (Reply::status(400, r#"{"error":{"message":"no such thing"}}"#), plain()),
        (
            Reply::hang(),
            v1::ExecutionSpec { timeout: Some(prost_types::Duration { seconds: 0, nanos: 50_000_000 }), ..plain() },
        ),
    ];
    for (reply, sent) in replies {
        model.next(reply);
        let ran = ledger.run(sent).await;
        assert_eq!(ran, get(&ledger, &ran.execution_id).await);
    }
}

#[tokio::test]
async fn the_built_in_model_needs_no_key_and_no_network() {
    let ledger = ledger().start().await;
    ledger.active("greet", "Hi {{name}}").await;
    let ran = ledger.run(spec("greet", &[("name", "Ada")])).await;
    let model = ran.model.unwrap();
    assert_eq!((&*model.provider, &*model.model_name), ("echo", "echo"));
    assert_eq!((&*ran.response_text, ran.cost_nano_usd, &*ran.environment), ("Hi Ada", Some(0), "dev"));
}

#[tokio::test]
async fn a_version_is_executed_by_number_label_and_checksum_whatever_its_status() {
    use execution_spec::Selector::{ChecksumHash, Label, VersionNumber};
    let ledger = ledger().start().await;
    ledger.active("greet", "one").await;
    let retired = ledger.active("greet", "two").await.version.unwrap();
    ledger.active("greet", "one").await;
    let status = v1::SetVersionStatusRequest {
        name: "greet".into(),
        version_number: 2,
        status: v1::VersionStatus::Deprecated.into(),
        ..v1::SetVersionStatusRequest::default()
    };
    ledger.registry().set_version_status(status).await.unwrap();
    let draft = ledger.registry().put_prompt(put("greet", "three")).await.unwrap().into_inner().version.unwrap();
    let asked = |selector, environment: &str| v1::ExecutionSpec {
        selector,
        environment: environment.into(),
        ..spec("greet", &[])
    };
    for (selector, number, text) in [
        (None, 1, "one"),
        (Some(VersionNumber(2)), 2, "two"),
        (Some(ChecksumHash(retired.checksum_hash)), 2, "two"),
        (Some(VersionNumber(3)), 3, "three"),
        (Some(Label("latest".into())), 3, "three"),
        (Some(Label("active".into())), 1, "one"),
        (Some(ChecksumHash(draft.checksum_hash)), 3, "three"),
    ] {
        for environment in ["dev", "prod"] {
            let ran = ledger.run(asked(selector.clone(), environment)).await;
            assert_eq!((ran.version_number, &*ran.response_text), (number, text), "{selector:?} in {environment}");
        }
    }
    let unknown = v1::RunExecutionRequest { spec: Some(asked(Some(Label("prod".into())), "prod")) };
    refused(ledger.executions().run_execution(unknown).await, Code::NotFound, "LABEL_NOT_FOUND");
}

#[tokio::test]
async fn nothing_is_recorded_or_rendered_at_a_revision_that_does_not_exist() {
    let ledger = ledger().start().await;
    let revision = ledger.active("greet", "hello").await.revision;
    let (mut registry, mut executions) = (ledger.registry(), ledger.executions());
    let run = |revision| v1::RunExecutionRequest {
        spec: Some(v1::ExecutionSpec { min_revision: Some(revision), ..spec("greet", &[]) }),
    };
    let render = |revision| v1::RenderPromptRequest {
        name: "greet".into(),
        min_revision: Some(revision),
        ..v1::RenderPromptRequest::default()
    };
    refused(executions.run_execution(run(revision + 1)).await, Code::OutOfRange, "REVISION_AHEAD");
    refused(registry.render_prompt(render(revision + 1)).await, Code::OutOfRange, "REVISION_AHEAD");
    let list = executions.list_executions(v1::ListExecutionsRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.executions, []);
    assert_eq!(
        executions.run_execution(run(revision)).await.unwrap().into_inner().execution.unwrap().version_number,
        1
    );
    assert_eq!(registry.render_prompt(render(revision)).await.unwrap().into_inner().rendered_prompt, "hello");
}

#[tokio::test]
async fn a_basic_view_leaves_the_texts_out() {
    let ledger = ledger().start().await;
    ledger.active("greet", "Hi {{name}}").await;
    let id = ledger.run(spec("greet", &[("name", "Ada")])).await.execution_id;
    let request =
        v1::GetExecutionRequest { execution_id: id, view: v1::ExecutionView::Basic.into(), ..Default::default() };
    let basic = ledger.executions().get_execution(request).await.unwrap().into_inner().execution.unwrap();
    assert_eq!((&*basic.rendered_prompt, &*basic.response_text, basic.variables), ("", "", None));
}

#[tokio::test]
async fn what_is_too_long_is_cut_and_said() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("long", "{{#each items}}{{this}}{{/each}}").await;
    model.next(Reply::answer("y".repeat(500 * 1024 + 1)));
    let item = prost_types::Value { kind: Some(prost_types::value::Kind::StringValue("é".repeat(60_000))) };
    let items = prost_types::value::Kind::ListValue(prost_types::ListValue { values: vec![item; 2] });
    let fields = [("items".to_owned(), prost_types::Value { kind: Some(items) })].into();
    let variables = Some(prost_types::Struct { fields });
    let ran = ledger.run(v1::ExecutionSpec { variables, ..spec("long", &[]) }).await;
    assert_eq!((ran.status(), &*ran.error_type), (v1::ExecutionStatus::Succeeded, "truncated"));
    assert!(ran.prompt_truncated && ran.response_truncated);
    assert_eq!((ran.rendered_prompt.len(), ran.response_text.len()), (200 * 1024, 500 * 1024));
    assert_eq!(model.last_request().body["messages"][0]["content"], ran.rendered_prompt);
}

#[tokio::test]
async fn a_callers_deadline_stops_the_provider_and_is_answered_in_time() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    model.otherwise(Reply::hang());
    // A busy machine may need more than the half second that is left for the last write. One that ignores the deadline is
    // never in time.
    let ran = eventually("an answer in time", GENEROUS, async || {
        let mut request = Request::new(v1::RunExecutionRequest { spec: Some(spec("greet", &[])) });
        request.set_timeout(Duration::from_secs(5));
        let answer = ledger.executions().run_execution(request).await?;
        Ok::<_, tonic::Status>(answer.into_inner().execution.unwrap())
    });
    let ran = ran.await;
    assert_eq!((ran.status(), &*ran.error_type), (v1::ExecutionStatus::Failed, "timeout"));
    model.wait_for_aborts(1).await;
    assert_eq!(get(&ledger, &ran.execution_id).await, ran);
}

#[tokio::test]
async fn a_timeout_bounds_the_call_and_an_expiry_the_whole_life() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    model.otherwise(Reply::hang());
    let short = prost_types::Duration { seconds: 0, nanos: 50_000_000 };
    let timeout = ledger.run(v1::ExecutionSpec { timeout: Some(short), ..spec("greet", &[]) }).await;
    assert_eq!((timeout.status(), &*timeout.error_type), (v1::ExecutionStatus::Failed, "timeout"));
    let expired = ledger.run(v1::ExecutionSpec { expire_after: Some(short), ..spec("greet", &[]) }).await;
    assert_eq!((expired.status(), &*expired.error_type), (v1::ExecutionStatus::Failed, "expired"));
    assert!(expired.expire_at.is_some());
}

#[tokio::test]
async fn a_caller_that_hangs_up_aborts_the_call_and_the_row_says_canceled() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    model.next(Reply::hang());
    let mut executions = ledger.executions();
    let run = v1::RunExecutionRequest { spec: Some(spec("greet", &[])) };
    let running = tokio::spawn(async move { executions.run_execution(run).await });
    model.wait_for_calls(1).await;
    running.abort();
    model.wait_for_aborts(1).await;
    let canceled = super::lists::first_with(&ledger, v1::ExecutionStatus::Canceled).await;
    assert_eq!((canceled.attempts, &*canceled.error_type), (1, ""));
}

#[tokio::test]
async fn a_failed_call_is_a_result_and_not_an_error_of_the_rpc() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    model.next(Reply::status(500, r#"{"error": {"message": "the model is on fire"}}"#));
    let ran = ledger.run(spec("greet", &[])).await;
    assert_eq!((ran.status(), &*ran.error_type), (v1::ExecutionStatus::Failed, "provider_error"));
    assert!(ran.error_message.contains("on fire"), "{}", ran.error_message);
    assert_eq!((ran.attempts, model.calls()), (1, 1));
}

#[tokio::test]
async fn an_execution_of_another_project_is_not_found() {
    let ledger = ledger().env("API_KEY", "system-key-for-this-test").start().await;
    ledger.active("greet", "hello").await;
    let id = ledger.run(spec("greet", &[])).await.execution_id;
    let elsewhere = super::access::project(&ledger, "other").await;
    let mut client = v1::execution_service_client::ExecutionServiceClient::new(elsewhere);
    let request = v1::GetExecutionRequest { execution_id: id, ..v1::GetExecutionRequest::default() };
    refused(client.get_execution(request).await, Code::NotFound, "EXECUTION_NOT_FOUND");
}

#[tokio::test]
async fn one_line_is_logged_per_execution_without_key_or_text() {
    let (ledger, _model) = ledger_with_model().await;
    ledger.active("greet", "a-very-secret-prompt {{name}}").await;
    let id = ledger.run(spec("greet", &[("name", "a-very-secret-name")])).await.execution_id;
    let ended = ledger.terminate().await;
    let lines: Vec<_> = ended.output.iter().filter(|line| line.contains(&id)).collect();
    assert_eq!(lines.len(), 1, "{:#?}", ended.output);
    let line: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    for field in ["provider", "model", "latency_ms", "prompt_tokens", "response_tokens", "status"] {
        assert!(!line[field].is_null(), "{field} is missing: {line}");
    }
    assert!(!ended.output.iter().any(|line| line.contains("a-very-secret")));
}
