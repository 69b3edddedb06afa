//! Retries within the call.

use std::time::{Duration, Instant};

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use prompt_ledger_testkit::ledger::{Ledger, carried, spec};
use prompt_ledger_testkit::watch_record::WatchRecord;
use serde_json::json;

use super::analytics::usage;
use super::ledger;

async fn start() -> (Ledger, FakeModel) {
    let model = FakeModel::start().await;
    let ledger = ledger().openai(&model.base_url()).env("RETRY_DELAYS", "10ms,10ms").start().await;
    ledger.active("greet", "hello").await;
    (ledger, model)
}

fn retried(max_retries: i32) -> v1::ExecutionSpec {
    v1::ExecutionSpec { max_retries: Some(max_retries), ..spec("greet", &[]) }
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_every_attempt_is_logged() {
    let (ledger, model) = start().await;
    model.next(Reply::status(503, "{}"));
    model.next(Reply::status(429, "{}").header("retry-after", "0"));
    let ran = ledger.run(retried(2)).await;
    assert_eq!((ran.status(), ran.attempts, model.calls()), (v1::ExecutionStatus::Succeeded, 3, 3));
    let errors: Vec<_> = ran.attempt_log.iter().map(|attempt| (attempt.number, &*attempt.error_type)).collect();
    assert_eq!(errors, [(1, "provider_error"), (2, "rate_limited"), (3, "")]);
}

#[tokio::test]
async fn each_fault_that_may_pass_is_followed_by_another_call() {
    let (ledger, model) = start().await;
    let broken_off = r#"{"choices": [{"message": {"content": "x"}, "finish_reason": "network_error"}]}"#;
    for (status, body, error_type) in [
        (408, "{}", "timeout"),
        (409, "{}", "provider_error"),
        (425, "{}", "provider_error"),
        (500, "{}", "provider_error"),
        (200, r#"{"error": {"code": 502, "message": "down"}}"#, "provider_error"),
        (200, broken_off, "provider_error"),
        (200, "{}", "provider_error"),
    ] {
        for queued in [false, true] {
            let calls = model.calls();
            model.next(Reply::status(status, body));
            let ran = ended(&ledger, retried(1), queued).await;
            let errors: Vec<_> = ran.attempt_log.iter().map(|attempt| &*attempt.error_type).collect();
            assert_eq!((errors, model.calls() - calls), (vec![error_type, ""], 2), "{status} {body}");
        }
    }
}

/// The execution once it has ended, run in its call or through the queue.
async fn ended(ledger: &Ledger, spec: v1::ExecutionSpec, queued: bool) -> v1::Execution {
    if !queued {
        return ledger.run(spec).await;
    }
    let id = ledger.submit(spec).await;
    WatchRecord::whole(&mut ledger.watch(&id, 0).await.unwrap()).await.ended.unwrap()
}

#[tokio::test]
async fn the_providers_wish_makes_a_delay_longer_and_never_shorter() {
    let model = FakeModel::start().await;
    let past = "Fri, 31 Dec 1999 23:59:59 GMT";
    for (delays, wish, least) in [("10ms", "1", 1_000), ("400ms", "0", 320), ("400ms", past, 320)] {
        let ledger = ledger().openai(&model.base_url()).env("RETRY_DELAYS", delays).start().await;
        ledger.active("greet", "hello").await;
        for queued in [false, true] {
            model.next(Reply::status(429, "{}").header("retry-after", wish));
            let began = Instant::now();
            let ran = ended(&ledger, retried(1), queued).await;
            assert_eq!((ran.status(), ran.attempts), (v1::ExecutionStatus::Succeeded, 2));
            // Jitter shortens a delay of ours by a fifth at most, and a wish not at all.
            let waited = began.elapsed();
            assert!(waited >= Duration::from_millis(least), "{delays}, {wish}: {waited:?}");
        }
    }
}

#[tokio::test]
async fn the_budget_ends() {
    let (ledger, model) = start().await;
    model.otherwise(Reply::close());
    let ran = ledger.run(retried(1)).await;
    assert_eq!((ran.status(), &*ran.error_type), (v1::ExecutionStatus::Failed, "connection"));
    assert_eq!((ran.attempts, ran.attempt_log.len(), model.calls()), (2, 2, 2));
}

#[tokio::test]
async fn what_will_not_pass_is_not_tried_again() {
    let (ledger, model) = start().await;
    let quota = r#"{"error": {"code": "insufficient_quota", "message": "pay"}}"#;
    for (status, body, error_type) in [
        (400, "{}", "invalid_request"),
        (401, "{}", "provider_auth"),
        (404, "{}", "invalid_request"),
        (429, quota, "quota_exhausted"),
        (500, r#"{"error": {"code": "context_length_exceeded"}}"#, "invalid_request"),
        (501, "{}", "invalid_request"),
        (200, r#"{"error": {"code": 400, "message": "no"}}"#, "invalid_request"),
    ] {
        let calls = model.calls();
        model.next(Reply::status(status, body));
        let ran = ledger.run(retried(2)).await;
        assert_eq!((&*ran.error_type, ran.attempts, model.calls() - calls), (error_type, 1, 1));
    }
}

#[tokio::test]
async fn an_execution_that_expires_between_attempts_says_so() {
    let model = FakeModel::start().await;
    let ledger = ledger().openai(&model.base_url()).env("RETRY_DELAYS", "1h").start().await;
    ledger.active("greet", "hello").await;
    model.otherwise(Reply::status(503, "{}"));
    let short = prost_types::Duration { seconds: 60, nanos: 0 };
    let ran = ledger.run(v1::ExecutionSpec { expire_after: Some(short), ..retried(1) }).await;
    assert_eq!((&*ran.error_type, ran.attempts), ("provider_error", 1), "a retry that would come too late is not made");
}

#[tokio::test]
async fn every_attempt_tells_when_it_was_what_it_used_and_what_went_wrong() {
    let (ledger, model) = start().await;
    ledger.carry(vec![carried("code", "hello")]).await;
    model.next(Reply::status(503, r#"{"error": {"message": "try later"}}"#));
    model.next(Reply::answer("one two").delay(Duration::from_millis(20)));
    let ran = ledger.run_code(v1::ExecutionSpec { max_retries: Some(1), ..spec("code", &[]) }).await;
    let [first, last] = &ran.attempt_log[..] else { panic!("{ran:?}") };
    assert_eq!((first.number, &*first.error_type, &first.usage), (1, "provider_error", &None));
    assert!(first.error_message.contains("try later") && first.latency_ms.is_some(), "{first:?}");
    assert_eq!((last.number, &*last.error_type, &*last.error_message), (2, "", ""));
    let used = last.usage.unwrap();
    assert_eq!((used.prompt_tokens, used.response_tokens), (ran.prompt_tokens, ran.response_tokens));
    assert_eq!((used.prompt_tokens, used.response_tokens), (Some(1), Some(2)));
    assert!(last.latency_ms >= Some(20) && last.latency_ms == ran.latency_ms, "of the last call: {ran:?}");
    assert_eq!(last.provider_request_id, ran.provider_request_id);
    assert!(!first.worker.is_empty() && first.worker == last.worker, "{ran:?}");
    assert_eq!((ran.started_at, ran.completed_at), (first.started_at, last.ended_at));
    let times = [first.started_at, first.ended_at, last.started_at, last.ended_at];
    let times = times.map(|time| time.map(|time| (time.seconds, time.nanos)).unwrap());
    assert!(times.is_sorted(), "{times:?}");
}

#[tokio::test]
async fn tokens_and_cost_are_those_of_all_attempts() {
    let (ledger, model) = start().await;
    let which = v1::ModelRef { provider: "openai".into(), model_name: "mine".into() };
    ledger.priced(&which, 1_000_000, 2_000_000).await;
    let told = json!({"prompt_tokens": 11, "completion_tokens": 3});
    let pieces = [
        json!({"id": "r", "model": "mine", "choices": [], "usage": told}),
        json!({"id": "r", "model": "mine", "choices": [{"index": 0, "delta": {"content": "hi"}}]}),
    ];
    model.next(Reply::events(pieces.map(|piece| format!("data: {piece}\n\n"))).then_cut());
    model.next(Reply::answer("one two"));
    let sent = v1::ExecutionSpec { model: Some(which), stream_text: Some(true), ..retried(1) };
    let ran = ledger.run(sent).await;
    assert_eq!((ran.status(), &*ran.response_text, ran.attempts), (v1::ExecutionStatus::Succeeded, "one two", 2));
    let used = ran.attempt_log.iter().map(|attempt| attempt.usage.unwrap());
    let used: Vec<_> = used.map(|usage| (usage.prompt_tokens, usage.response_tokens)).collect();
    assert_eq!(used, [(Some(11), Some(3)), (Some(1), Some(2))]);
    assert_eq!((ran.prompt_tokens, ran.response_tokens, ran.cost_nano_usd), (Some(12), Some(5), Some(12 + 2 * 5)));
    let row = usage(&ledger, v1::QueryUsageRequest::default()).await.remove(0);
    assert_eq!((row.prompt_tokens, row.response_tokens, row.cost_nano_usd), (12, 5, Some(22)));
}
