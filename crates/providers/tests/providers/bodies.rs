//! Long bodies: their memory is bounded per process, and small ones do not wait.

use std::time::Duration;

use prompt_ledger_domain::execution::ErrorType;
use prompt_ledger_domain::limits;
use prompt_ledger_providers::anthropic::Anthropic;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_providers::{BodyBudget, Endpoint, Provider};
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use tokio::task::JoinSet;

use crate::setup::{Ask, KEY, both, endpoint, prompt};

const LONG: usize = 5 * 1024 * 1024;

/// Providers in both protocols that share this budget.
fn sharing(model: &FakeModel, bodies: &BodyBudget) -> [Box<dyn Provider>; 2] {
    let at = |base: &str| Endpoint { bodies: bodies.clone(), ..endpoint(base) };
    [
        Box::new(OpenAi::new(at(&model.base_url())).unwrap()),
        Box::new(Anthropic::new(at(&model.anthropic_url())).unwrap()),
    ]
}

/// A whole answer of which 1 MiB is sent at once, and the rest when the gate opens.
fn held(gate: &Gate) -> Reply {
    let pieces = [r#"{"choices":[{"message":{"content":""#, &"x".repeat(1024 * 1024), r#""}}]}"#].map(str::to_owned);
    Reply::events(pieces).held_after(2, gate).header("content-type", "application/json")
}

#[tokio::test]
async fn more_long_answers_than_there_is_room_for_all_come() {
    let model = FakeModel::start().await;
    let bodies = BodyBudget::new(limits::PROVIDER_BODY_BYTES);
    model.otherwise(Reply::huge(LONG));
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let [openai, _] = sharing(&model, &bodies);
        calls.spawn(async move { Ask::new(&*openai, prompt("hi")).answer().await.text.len() });
    }
    for length in calls.join_all().await {
        assert_eq!(length, limits::RESPONSE_BYTES);
    }
}

#[tokio::test]
async fn a_long_answer_waits_for_room_within_its_timeout_and_a_short_one_does_not() {
    let model = FakeModel::start().await;
    let bodies = BodyBudget::new(limits::PROVIDER_BODY_BYTES);
    let ([openai, _], [another, anthropic]) = (sharing(&model, &bodies), sharing(&model, &bodies));
    let gate = Gate::new();
    model.next(held(&gate));
    let held = async { Ask::new(&*openai, prompt("hi")).answer().await };
    let others = async {
        model.wait_for_calls(1).await;
        // The second waits only once the first holds the room, so this is tried until then.
        loop {
            model.next(Reply::huge(LONG));
            match Ask::new(&*another, prompt("hi")).timeout(Duration::from_millis(500)).whole().await {
                Ok(_) => {}
                Err(failure) => break assert_eq!(failure.error_type, ErrorType::Timeout),
            }
        }
        model.next(Reply::answer("short"));
        assert_eq!(Ask::new(&*anthropic, prompt("hi")).answer().await.text, "short");
        gate.open();
    };
    let (answer, ()) = tokio::join!(held, others);
    assert_eq!((answer.text.len(), answer.truncated), (limits::RESPONSE_BYTES, true));
}

#[tokio::test]
async fn a_refusal_that_is_too_long_is_told_by_its_status() {
    let model = FakeModel::start().await;
    for provider in both(&model) {
        model.next(Reply::status(429, "x".repeat(limits::PROVIDER_REFUSAL_BYTES + 1)).header("retry-after", "7"));
        let failure = Ask::new(&*provider, prompt("hi")).failure().await;
        assert_eq!((failure.error_type, failure.retry_after), (ErrorType::RateLimited, Some(Duration::from_secs(7))));
        assert_eq!(failure.message, "the provider answered HTTP 429 with a reason that is too long or was cut off");
    }
}

#[tokio::test]
async fn an_id_that_is_the_key_is_nobodys_id() {
    let model = FakeModel::start().await;
    for provider in both(&model) {
        for id in [KEY.to_owned(), format!("Bearer {KEY}"), format!("req-{KEY}")] {
            for reply in [Reply::answer("hi"), Reply::status(400, "{}")] {
                let reply = reply.header("x-request-id", &id).header("request-id", &id);
                model.next(reply.clone());
                model.next(reply);
                let ask = Ask::new(&*provider, prompt("hi"));
                for outcome in [ask.whole().await, ask.stream().await.0] {
                    let request_id = outcome.map_or_else(|failure| failure.request_id, |answer| answer.request_id);
                    assert!(!request_id.contains(KEY), "{request_id}");
                }
            }
        }
    }
}
