//! Retries within the call.

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use prompt_ledger_testkit::ledger::{Ledger, spec};

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
    let short = prost_types::Duration { seconds: 1, nanos: 0 };
    let ran = ledger.run(v1::ExecutionSpec { expire_after: Some(short), ..retried(1) }).await;
    assert_eq!((&*ran.error_type, ran.attempts), ("provider_error", 1), "a retry that would come too late is not made");
}
