//! Executions that are run and watched in one call.

use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{Gate, Reply};
use prompt_ledger_testkit::ledger::spec;
use prompt_ledger_testkit::poll::eventually;
use prompt_ledger_testkit::watch_record::WatchRecord;
use tonic::Code;

use super::{ledger, ledger_with_model, refused};

type Status = v1::ExecutionStatus;

fn greet() -> v1::ExecutionSpec {
    spec("greet", &[("name", "Ada")])
}

#[tokio::test]
async fn a_stream_tells_where_it_stands_what_is_written_and_how_it_ended() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "Hi {{name}}").await;
    let gate = Gate::new();
    model.next(Reply::answer("one two three four").held_after(2, &gate));
    let mut stream = ledger.stream(greet()).await;
    let mut record = WatchRecord::new();
    let failed = record.read(&mut stream, |record| record.text == "one two ").await;
    assert!(failed.is_none(), "{failed:?}");
    let snapshot = record.snapshot.clone().unwrap();
    assert_eq!((snapshot.status(), snapshot.attempt, snapshot.through_sequence), (Status::Running, 1, 1));
    assert!(!snapshot.reused);
    assert_eq!((record.statuses(), record.attempt), (vec![Status::Running], 1));
    gate.open();
    record.finish(&mut stream).await;
    let ended = record.ended.clone().unwrap();
    assert_eq!((ended.status(), &*ended.response_text), (Status::Succeeded, "one two three four"));
    assert_eq!((&*record.text, record.statuses()), ("one two three four", vec![Status::Running, Status::Succeeded]));
    assert_eq!(model.last_request().body["stream"], true);
    let request = v1::GetExecutionRequest { execution_id: ended.execution_id.clone(), view: 0, ..Default::default() };
    let stored = ledger.executions().get_execution(request).await.unwrap().into_inner().execution.unwrap();
    assert_eq!(ended, stored);
}

#[tokio::test]
async fn the_built_in_model_streams_word_by_word() {
    let ledger = ledger().start().await;
    ledger.active("greet", "Say hello to {{name}}.").await;
    let record = WatchRecord::whole(&mut ledger.stream(greet()).await).await;
    assert_eq!(record.text, "Say hello to Ada.");
    assert_eq!(record.ended.unwrap().response_text, "Say hello to Ada.");
}

#[tokio::test]
async fn the_built_in_models_that_write_at_a_human_pace_need_no_registration() {
    let ledger = ledger().start().await;
    ledger.active("greet", "{{name}}").await;
    let asked = |model: &str| v1::ExecutionSpec {
        model: Some(v1::ModelRef { provider: "echo".into(), model_name: model.into() }),
        ..spec("greet", &[("name", "one two three four five six")])
    };
    // A word every 50 ms, and text of at most 50 ms a message: several of them, on the slowest machine too.
    let record = WatchRecord::whole(&mut ledger.stream(asked("slow")).await).await;
    let ended = record.ended.unwrap();
    assert_eq!((ended.status(), &*record.text), (Status::Succeeded, "one two three four five six"));
    assert!(record.deltas > 1, "{}", record.deltas);
    // Whole, it is not written word by word.
    let ran = ledger.run(asked("long")).await;
    assert_eq!((ran.status(), ran.cost_nano_usd), (Status::Succeeded, Some(0)));
    assert!(ran.response_text.split_whitespace().count() >= 500);
}

#[tokio::test]
async fn what_keeps_an_execution_from_being_recorded_is_an_error_of_the_call() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "Hi {{name}}").await;
    let stream = async |spec| {
        let request = v1::StreamExecutionRequest { spec: Some(spec) };
        ledger.executions().stream_execution(request).await
    };
    refused(stream(spec("unknown", &[])).await, Code::NotFound, "PROMPT_NOT_FOUND");
    refused(stream(spec("greet", &[])).await, Code::InvalidArgument, "VARIABLES_MISSING");
    let request = v1::StreamExecutionRequest { spec: None };
    refused(ledger.executions().stream_execution(request).await, Code::InvalidArgument, "INVALID_FIELD");
    assert_eq!(model.calls(), 0);
}

#[tokio::test]
async fn what_an_aborted_call_had_used_is_recorded() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "Hi {{name}}").await;
    let never = Gate::new();
    let used = r#"data: {"id":"call-7","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":3}}"#;
    let said = r#"data: {"id":"call-7","choices":[{"index":0,"delta":{"content":"hi"}}]}"#;
    for hangs_up in [false, true] {
        model.next(Reply::events([format!("{used}\n\n"), format!("{said}\n\n")]).held_after(2, &never));
        let mut stream = ledger.stream(greet()).await;
        let mut record = WatchRecord::new();
        assert!(record.read(&mut stream, |record| record.text == "hi").await.is_none());
        let execution_id = record.id.clone();
        if hangs_up {
            drop(stream);
        } else {
            let request = v1::CancelExecutionRequest { execution_id: execution_id.clone(), reason: String::new() };
            ledger.executions().cancel_execution(request).await.unwrap();
        }
        let ended = WatchRecord::whole(&mut ledger.watch(&execution_id, 0).await.unwrap()).await.ended.unwrap();
        assert_eq!((ended.status(), ended.prompt_tokens, ended.response_tokens), (Status::Canceled, Some(11), Some(3)));
        assert!(ended.cost_nano_usd.is_some_and(|cost| cost > 0), "{ended:?}");
        let attempt = &ended.attempt_log[0];
        assert_eq!((attempt.usage.unwrap().prompt_tokens, &*attempt.provider_request_id), (Some(11), "call-7"));
    }
}

#[tokio::test]
async fn hanging_up_aborts_the_call_unless_a_key_lets_it_be_found_again() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "Hi {{name}}").await;
    let gate = Gate::new();
    model.next(Reply::answer("one two three").held_after(1, &gate));
    let mut stream = ledger.stream(greet()).await;
    let mut record = WatchRecord::new();
    record.read(&mut stream, |record| record.deltas > 0).await;
    drop(stream);
    model.wait_for_aborts(1).await;

    model.next(Reply::answer("one two three").held_after(1, &gate));
    let keyed = v1::ExecutionSpec { idempotency_key: "order-1".into(), ..greet() };
    let mut stream = ledger.stream(keyed.clone()).await;
    let mut record = WatchRecord::new();
    record.read(&mut stream, |record| record.deltas > 0).await;
    drop(stream);
    // A repeated call joins the execution, and gets the text that was written meanwhile.
    let mut joined = ledger.stream(keyed.clone()).await;
    let mut record = WatchRecord::new();
    record.read(&mut joined, |record| record.text == "one ").await;
    assert!(record.snapshot.clone().unwrap().reused);
    gate.open();
    record.finish(&mut joined).await;
    assert_eq!(record.ended.clone().unwrap().response_text, "one two three");
    assert_eq!((model.calls(), model.aborts()), (2, 1));
    let again = WatchRecord::whole(&mut ledger.stream(keyed).await).await;
    assert_eq!((again.ended, again.deltas), (record.ended, 0), "what has ended tells its end");
}

#[tokio::test]
async fn a_retry_within_the_call_drops_the_text_of_the_attempt_before() {
    let (ledger, model) = ledger_with_model_and_delays("10ms").await;
    ledger.active("greet", "Hi {{name}}").await;
    model.next(Reply::cut());
    model.next(Reply::answer("whole"));
    let sent = v1::ExecutionSpec { max_retries: Some(1), ..greet() };
    let record = WatchRecord::whole(&mut ledger.stream(sent).await).await;
    assert_eq!(record.statuses(), [Status::Running, Status::Running, Status::Succeeded]);
    assert_eq!((&*record.text, record.attempt), ("whole", 2));
    assert_eq!(record.ended.unwrap().attempts, 2);
}

#[tokio::test]
async fn a_callers_deadline_ends_the_call_in_time_to_be_told() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "Hi {{name}}").await;
    model.otherwise(Reply::hang());
    // A busy machine may need more than the half second that is left for the last write. One that ignores the deadline is
    // never in time.
    let ended = eventually("an end in time", Duration::from_secs(60), async || {
        let mut request = tonic::Request::new(v1::StreamExecutionRequest { spec: Some(greet()) });
        request.set_timeout(Duration::from_secs(5));
        let mut stream = ledger.executions().stream_execution(request).await?.into_inner();
        let mut record = WatchRecord::new();
        let late = record.read(&mut stream, |_| false).await;
        record.ended.ok_or_else(|| late.unwrap())
    });
    let ended = ended.await;
    assert_eq!((ended.status(), &*ended.error_type), (Status::Failed, "timeout"));
}

#[tokio::test]
async fn a_failed_call_ends_its_stream_well() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "Hi {{name}}").await;
    model.next(Reply::status(400, r#"{"error":{"message":"no"}}"#));
    let ended = WatchRecord::whole(&mut ledger.stream(greet()).await).await.ended.unwrap();
    assert_eq!((ended.status(), &*ended.error_type), (Status::Failed, "invalid_request"));
}

#[tokio::test]
async fn a_long_text_is_whole_and_splits_no_character() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "Hi {{name}}").await;
    let text = format!("{} ", "é€😀".repeat(100)).repeat(700);
    model.next(Reply::answer(&text));
    let record = WatchRecord::whole(&mut ledger.stream(greet()).await).await;
    let ended = record.ended.unwrap();
    assert!(ended.response_truncated && text.starts_with(&ended.response_text));
    assert!(ended.response_text == record.text, "{} bytes of {}", record.text.len(), ended.response_text.len());
}

async fn ledger_with_model_and_delays(
    delays: &str,
) -> (prompt_ledger_testkit::ledger::Ledger, prompt_ledger_testkit::fake_model::FakeModel) {
    let model = prompt_ledger_testkit::fake_model::FakeModel::start().await;
    (ledger().openai(&model.base_url()).env("RETRY_DELAYS", delays).start().await, model)
}
