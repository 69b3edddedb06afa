//! A model server that misbehaves: the call is OK with a `failed` execution of the right `error_type`, and the server
//! goes on.

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::Reply;
use prompt_ledger_testkit::ledger::{server, spec};

use super::{ledger, ledger_with_model};

#[tokio::test]
async fn every_fault_is_a_failed_execution_of_its_kind() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let filtered = r#"{"error": {"code": "content_filter", "message": "no"}}"#;
    let cases = [
        (Reply::garbage(), "invalid_response"),
        (Reply::empty(), "provider_error"),
        (Reply::close(), "connection"),
        (Reply::cut(), "connection"),
        (Reply::huge(20 * 1024 * 1024), "response_too_large"),
        (Reply::hang(), "timeout"),
        (Reply::status(429, "{}"), "rate_limited"),
        (Reply::status(429, r#"{"error": {"code": "insufficient_quota"}}"#), "quota_exhausted"),
        (Reply::status(401, "{}"), "provider_auth"),
        (Reply::status(403, "{}"), "provider_auth"),
        (Reply::status(400, filtered), "content_filtered"),
        (Reply::status(404, "{}"), "invalid_request"),
        (Reply::status(503, "not json"), "provider_error"),
    ];
    for (reply, error_type) in cases {
        model.next(reply);
        // Only what never answers is given up, and so late that it has reached the model and leaves its script.
        let timeout = (error_type == "timeout").then_some(prost_types::Duration { seconds: 5, nanos: 0 });
        let ran = ledger.run(v1::ExecutionSpec { timeout, ..spec("greet", &[]) }).await;
        assert_eq!((ran.status(), &*ran.error_type), (v1::ExecutionStatus::Failed, error_type));
        assert!(!ran.error_message.is_empty() && ran.completed_at.is_some(), "{ran:?}");
    }
    assert_eq!(ledger.run(spec("greet", &[])).await.status(), v1::ExecutionStatus::Succeeded);
}

#[tokio::test]
async fn a_nul_in_an_answer_is_replaced() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    model.next(Reply::nul());
    let ran = ledger.run(spec("greet", &[])).await;
    assert_eq!(ran.status(), v1::ExecutionStatus::Succeeded);
    assert!(ran.response_text.contains('\u{fffd}') && !ran.response_text.contains('\0'));
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_a_connection_failure() {
    // Bound and not listening: nobody answers there, and nobody else is given the port.
    let place = tokio::net::TcpSocket::new_v4().unwrap();
    place.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = format!("http://{}/v1", place.local_addr().unwrap());
    let ledger = server(env!("CARGO_BIN_EXE_prompt-ledger")).openai(&nobody).start().await;
    ledger.active("greet", "hello").await;
    assert_eq!(ledger.run(spec("greet", &[])).await.error_type, "connection");
}

#[tokio::test]
async fn the_key_goes_to_the_provider_and_nowhere_else() {
    let model = prompt_ledger_testkit::fake_model::FakeModel::start().await;
    let ledger = ledger().openai(&model.base_url()).env("OPENAI_API_KEY", "sk-very-secret").start().await;
    ledger.active("greet", "hello").await;
    model.next(Reply::status(401, r#"{"error": {"message": "Incorrect API key provided: sk-very-secret"}}"#));
    let ran = ledger.run(spec("greet", &[])).await;
    assert_eq!(model.last_request().header("authorization"), Some("Bearer sk-very-secret"));
    assert_eq!(ran.error_type, "provider_auth");
    let ended = ledger.terminate().await;
    for said in [format!("{ran:?}"), ended.output.join("\n")] {
        assert!(!said.contains("sk-very-secret"), "{said}");
    }
}
