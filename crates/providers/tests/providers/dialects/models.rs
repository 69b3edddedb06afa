//! The model that answered, as the provider names it.

use prompt_ledger_domain::execution::ErrorType;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use serde_json::{Value, json};

use super::{DONE, MESSAGE_STOP, anthropic, events, openai};
use crate::setup::{Ask, KEY, both, prompt};

/// An answer in each protocol that names these models, one document after the other: whole with the last name alone, and
/// as a stream.
fn naming(names: &[Value]) -> [[String; 2]; 2] {
    let named = |mut document: Value, name: &Value| {
        document["model"] = name.clone();
        document
    };
    let last = names.last().unwrap();
    let chunks: Vec<_> = names.iter().map(|name| named(openai::text("hi"), name)).collect();
    let starts: Vec<_> = names
        .iter()
        .map(|name| {
            let mut start = anthropic::start(json!({}));
            start["message"]["model"] = name.clone();
            start
        })
        .collect();
    [
        [named(openai::whole("hi"), last).to_string(), events(&chunks) + &events(&[openai::finish("stop")]) + DONE],
        [
            named(anthropic::whole("hi"), last).to_string(),
            events(&starts) + &events(&[anthropic::text("hi"), anthropic::finish("end_turn")]) + MESSAGE_STOP,
        ],
    ]
}

#[tokio::test]
async fn who_answered_is_told_whole_and_streamed_in_both_protocols() {
    let model = FakeModel::start().await;
    let long = "m".repeat(300);
    for (names, expected) in [
        (vec![json!("small-2025-01-01")], "small-2025-01-01"),
        (vec![json!("accounts/a/models/Llama 3: Größe")], "accounts/a/models/Llama 3: Größe"),
        // An empty name, then the one that was chosen; the first stays.
        (vec![json!(""), json!(null), json!("a")], "a"),
        (vec![json!("a"), json!("a")], "a"),
        // No name.
        (vec![json!(null)], ""),
        (vec![json!(7)], ""),
        (vec![json!({"name": "a"})], ""),
        (vec![json!("a\nb")], ""),
        (vec![json!("a\u{0}b")], "a\u{fffd}b"),
        (vec![json!(long)], ""),
        // The key is none either.
        (vec![json!(KEY)], ""),
    ] {
        for (provider, bodies) in both(&model).iter().zip(naming(&names)) {
            for body in bodies {
                let ask = Ask::new(&**provider, prompt("hi"));
                for streams in [false, true] {
                    model.next(Reply::events([body.clone()]));
                    let answer = if streams { ask.streamed().await.0 } else { ask.answer().await };
                    assert_eq!((&*answer.response_model, answer.requests), (expected, 1), "{body}");
                }
            }
        }
    }
    let answer = Ask::new(&prompt_ledger_providers::echo::Echo, prompt("hi")).answer().await;
    assert_eq!((&*answer.response_model, answer.requests), ("small", 1));
}

#[tokio::test]
async fn a_failure_keeps_who_began_to_answer() {
    let model = FakeModel::start().await;
    let mut chunk = openai::text("hi");
    chunk["model"] = json!("small-2025");
    let mut start = anthropic::start(json!({}));
    start["message"]["model"] = json!("small-2025");
    for (provider, begun) in both(&model).iter().zip([events(&[chunk]), events(&[start, anthropic::text("hi")])]) {
        model.next(Reply::events([begun]));
        let (failure, pieces) = Ask::new(&**provider, prompt("hi")).broken().await;
        assert_eq!((failure.error_type, pieces), (ErrorType::Connection, vec!["hi".to_owned()]));
        assert_eq!((&*failure.response_model, failure.requests), ("small-2025", 1));
    }
}

#[tokio::test]
async fn where_nothing_was_sent_no_request_is_counted() {
    let provider = prompt_ledger_providers::openai::OpenAi::new(crate::setup::endpoint("http://127.0.0.1:1")).unwrap();
    let failure = Ask::new(&provider, prompt("hi")).failure().await;
    assert_eq!((failure.error_type, failure.requests, failure.latency), (ErrorType::Connection, 0, None));
}
