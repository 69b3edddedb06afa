//! Provider instances of the environment, and what is asked of their models.

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{Ledger, spec};
use prompt_ledger_testkit::watch_record::WatchRecord;
use serde_json::json;
use tonic::Code;

use super::{ledger, refused};

/// A server with the instances `azure`, of OpenAI's protocol, and `claude`, of Anthropic's.
async fn with_instances() -> (Ledger, FakeModel) {
    let model = FakeModel::start().await;
    let ledger = ledger()
        .env("PROVIDER_AZURE_KIND", "openai")
        .env("PROVIDER_AZURE_BASE_URL", format!("{}/deployments/x?api-version=1", model.base_url()))
        .env("PROVIDER_AZURE_API_KEY", "azure-key")
        .env("PROVIDER_AZURE_KEY_HEADER", "api-key")
        .env("PROVIDER_AZURE_HEADERS", "X-Team=blue")
        .env("PROVIDER_CLAUDE_KIND", "anthropic")
        .env("PROVIDER_CLAUDE_BASE_URL", model.anthropic_url())
        .env("PROVIDER_ELSEWHERE_KIND", "openai")
        .start()
        .await;
    ledger.active("greet", "one two").await;
    (ledger, model)
}

fn of(provider: &str) -> v1::ExecutionSpec {
    let model = v1::ModelRef { provider: provider.into(), model_name: "small".into() };
    v1::ExecutionSpec { model: Some(model), ..spec("greet", &[]) }
}

async fn register(ledger: &Ledger, provider: &str, max_tokens: Option<i32>, supports_streaming: Option<bool>) {
    let (provider, model_name) = (provider.to_owned(), "small".to_owned());
    let put = v1::PutModelRequest { provider, model_name, max_tokens, supports_streaming, ..Default::default() };
    ledger.registry().put_model(put).await.unwrap();
}

#[tokio::test]
async fn an_instance_is_called_by_its_name_with_its_settings() {
    let (ledger, model) = with_instances().await;
    assert_eq!(ledger.run(of("azure")).await.response_text, "one two");
    let request = model.last_request();
    assert_eq!(
        (request.path.as_str(), request.query.as_str()),
        ("/v1/deployments/x/chat/completions", "api-version=1")
    );
    assert_eq!((request.header("api-key"), request.header("x-team")), (Some("azure-key"), Some("blue")));
    assert_eq!(ledger.run(of("claude")).await.response_text, "one two");
    assert_eq!(model.last_request().path, "/v1/messages");

    let run = async |provider| {
        let request = v1::RunExecutionRequest { spec: Some(of(provider)) };
        ledger.executions().run_execution(request).await
    };
    refused(run("nowhere").await, Code::NotFound, "PROVIDER_NOT_FOUND");
    let status = run("elsewhere").await.unwrap_err();
    assert!(status.message().contains("PROVIDER_ELSEWHERE_API_KEY"), "{status:?}");
    refused(run("elsewhere").await, Code::FailedPrecondition, "PROVIDER_NOT_CONFIGURED");
}

#[tokio::test]
async fn an_execution_tells_who_answered_and_how_many_requests_that_took() {
    let (ledger, model) = with_instances().await;
    let params = v1::ModelParams { max_new_tokens: Some(50), ..Default::default() };
    let limited = |provider| v1::ExecutionSpec { params: Some(params.clone()), ..of(provider) };
    model.next(Reply::status(
        400,
        r#"{"error":{"message":"Unsupported parameter: 'max_tokens'","param":"max_tokens"}}"#,
    ));
    for (provider, requests) in [("azure", 2), ("azure", 1), ("claude", 1)] {
        let ran = ledger.run(limited(provider)).await;
        assert_eq!((&*ran.response_model, ran.attempt_log[0].requests), ("small", requests), "{provider}");
        let streamed = WatchRecord::whole(&mut ledger.stream(limited(provider)).await).await.ended.unwrap();
        let id = ledger.submit(limited(provider)).await;
        let queued = WatchRecord::whole(&mut ledger.watch(&id, 0).await.unwrap()).await.ended.unwrap();
        for ended in [streamed, queued] {
            assert_eq!((&*ended.response_model, ended.attempt_log[0].requests), ("small", 1), "{provider}");
        }
    }
}

#[tokio::test]
async fn a_limit_that_a_provider_requires_is_the_models_and_is_recorded() {
    let (ledger, model) = with_instances().await;
    let limit = |ran: &v1::Execution| ran.params.as_ref().and_then(|params| params.max_new_tokens);
    let ran = ledger.run(of("claude")).await;
    assert_eq!((&model.last_request().body["max_tokens"], limit(&ran)), (&json!(4096), Some(4096)));
    register(&ledger, "claude", Some(9000), None).await;
    let ran = ledger.run(of("claude")).await;
    assert_eq!((&model.last_request().body["max_tokens"], limit(&ran)), (&json!(9000), Some(9000)));
    let id = ledger.submit(of("claude")).await;
    WatchRecord::whole(&mut ledger.watch(&id, 0).await.unwrap()).await;
    assert_eq!(model.last_request().body["max_tokens"], 9000);
    register(&ledger, "azure", Some(9000), None).await;
    let ran = ledger.run(of("azure")).await;
    assert_eq!((model.last_request().body.get("max_tokens"), limit(&ran)), (None, None));
}

#[tokio::test]
async fn a_model_that_does_not_stream_is_asked_for_the_whole_answer() {
    let (ledger, model) = with_instances().await;
    for provider in ["azure", "claude"] {
        register(&ledger, provider, None, Some(false)).await;
        let record = WatchRecord::whole(&mut ledger.stream(of(provider)).await).await;
        assert_eq!((record.deltas, record.text.as_str()), (1, "one two"));
        assert_eq!(model.last_request().body["stream"], false);
        let gate = Gate::new();
        model.next(Reply::answer("one two").held(&gate));
        let id = ledger.submit(v1::ExecutionSpec { stream_text: Some(true), ..of(provider) }).await;
        let (mut watch, mut record) = (ledger.watch(&id, 0).await.unwrap(), WatchRecord::new());
        let running = |record: &WatchRecord| record.statuses().last() == Some(&v1::ExecutionStatus::Running);
        record.read(&mut watch, running).await;
        gate.open();
        record.finish(&mut watch).await;
        assert_eq!((record.deltas, record.text.as_str()), (1, "one two"));
        let ended = record.ended.unwrap();
        assert_eq!((ended.stream_text, &*ended.response_text), (true, "one two"));
        assert_eq!(model.last_request().body["stream"], false);
    }
}

#[tokio::test]
async fn an_execution_that_fails_or_is_stopped_keeps_what_was_written() {
    let (ledger, model) = with_instances().await;
    for provider in ["azure", "claude"] {
        model.next(Reply::answer("one two three four").held_after(2, &Gate::new()));
        let timeout = Some(prost_types::Duration { seconds: 5, nanos: 0 });
        let record = WatchRecord::whole(&mut ledger.stream(v1::ExecutionSpec { timeout, ..of(provider) }).await).await;
        let ended = record.ended.unwrap();
        assert_eq!((&*ended.error_type, &*ended.response_text, &*record.text), ("timeout", "one two ", "one two "));

        model.next(Reply::answer("one two three four").held_after(2, &Gate::new()));
        let id = ledger.submit(v1::ExecutionSpec { stream_text: Some(true), ..of(provider) }).await;
        let mut watch = ledger.watch(&id, 0).await.unwrap();
        let mut record = WatchRecord::new();
        record.read(&mut watch, |record| record.text == "one two ").await;
        let cancel = v1::CancelExecutionRequest { execution_id: id, reason: String::new() };
        ledger.executions().cancel_execution(cancel).await.unwrap();
        record.finish(&mut watch).await;
        let ended = record.ended.unwrap();
        assert_eq!((ended.status(), &*ended.response_text), (v1::ExecutionStatus::Canceled, "one two "));
    }
}

/// An event of OpenAI's protocol with a piece of text.
fn chunk(text: &str) -> String {
    let chunk = json!({"choices": [{"delta": {"content": text}}]});
    format!("data: {chunk}\n\n")
}

#[tokio::test]
async fn what_a_server_streams_unasked_is_one_delta_where_its_model_does_not_stream() {
    let (ledger, model) = with_instances().await;
    register(&ledger, "azure", None, Some(false)).await;
    model.next(Reply::events([chunk("one "), chunk("two"), "data: [DONE]\n\n".into()]));
    let record = WatchRecord::whole(&mut ledger.stream(of("azure")).await).await;
    assert_eq!((record.deltas, record.text.as_str()), (1, "one two"));
}

#[tokio::test]
async fn what_a_server_streams_unasked_is_kept_where_the_call_is_stopped() {
    let (ledger, model) = with_instances().await;
    model.next(Reply::events([chunk("one "), chunk("two")]).held_after(1, &Gate::new()));
    let expire_after = Some(prost_types::Duration { seconds: 5, nanos: 0 });
    let ended = ledger.run(v1::ExecutionSpec { expire_after, ..of("azure") }).await;
    assert_eq!(model.last_request().body["stream"], false);
    assert_eq!((&*ended.error_type, &*ended.response_text), ("expired", "one "));
}
