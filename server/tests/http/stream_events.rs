//! What the events of a stream hold, and going on behind a drain.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use http::Method;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use serde_json::{Value, json};

use crate::client::Client;
use crate::rest::{Rest, active};
use crate::sent_events::{Events, SentEvent};
use crate::streams::{greet, stream, submit, watch};
use crate::{ledger, ledger_with_model};

const STREAM: &str = "/v1/executions:stream";

/// A piece of an answer, as OpenAI streams it.
fn chunk(delta: &Value, finish_reason: &Value) -> String {
    let chunk = json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]});
    format!("data: {chunk}\n\n")
}

fn piece(index: i32, id: &str, name: &str, arguments: &str) -> String {
    let call = match id {
        "" => json!({"index": index, "function": {"arguments": arguments}}),
        _ => json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}),
    };
    chunk(&json!({"tool_calls": [call]}), &Value::Null)
}

/// Two calls that take turns.
fn parallel() -> Vec<String> {
    vec![
        piece(0, "call_a", "weather", ""),
        piece(0, "", "", "{\"city\": "),
        piece(1, "call_b", "time", "{\"at\":"),
        piece(0, "", "", "\"Köln\"}"),
        piece(1, "", "", " 1}"),
        chunk(&json!({}), &json!("tool_calls")) + "data: [DONE]\n\n",
    ]
}

fn calls() -> Value {
    json!([
        {"id": "call_a", "name": "weather", "arguments": "{\"city\": \"Köln\"}"},
        {"id": "call_b", "name": "time", "arguments": "{\"at\": 1}"},
    ])
}

fn asked() -> Value {
    let tool = |name: &str| json!({"name": name, "parameters": {"type": "object"}});
    json!({"prompt_name": "greet", "variables": {"name": "Ada"}, "tools": [tool("weather"), tool("time")]})
}

/// The calls that the events of a stream tell, put together by their offsets.
fn put_together(events: &[SentEvent]) -> Value {
    let mut calls = BTreeMap::<i64, [String; 3]>::new();
    for SentEvent { data, .. } in events.iter().filter(|event| event.kind == "tool_call_delta") {
        let call = calls.entry(data["index"].as_i64().unwrap()).or_default();
        assert_eq!(data["offset"], json!(call[2].len()), "{data}");
        if call[0].is_empty() {
            [call[0], call[1]] = ["id", "name"].map(|key| data[key].as_str().unwrap().to_owned());
        }
        call[2].push_str(data["arguments"].as_str().unwrap());
    }
    calls.values().map(|[id, name, arguments]| json!({"id": id, "name": name, "arguments": arguments})).collect()
}

#[tokio::test]
async fn calls_of_tools_are_told_while_they_are_written_and_in_the_answer() {
    let (ledger, model) = ledger_with_model().await;
    let mut rest = Rest::new(&ledger).await;
    active(&mut rest, "greet", "Hi {{name}}").await;
    for mut client in Client::both(&ledger).await {
        model.next(Reply::events(parallel()).paced(Duration::from_millis(60)));
        let events = stream(&mut client, &[], asked().to_string()).await.rest().await;
        for event in &events {
            rest.check_event(&Method::POST, STREAM, &event.kind, &event.data);
        }
        assert_eq!(put_together(&events), calls(), "{events:?}");
        let [.., last, _end] = &events[..] else { panic!("{events:?}") };
        let execution = &last.data["execution"];
        assert_eq!((&execution["tool_calls"], &execution["refused"]), (&calls(), &json!(false)));
        model.next(Reply::events(parallel()));
        let ran = rest.post("/v1/executions:run", asked()).await;
        assert_eq!((&ran["tool_calls"], &ran["status"]), (&calls(), &json!("succeeded")));
    }
}

#[tokio::test]
async fn a_refusal_is_an_answer_that_says_so() {
    let (ledger, model) = ledger_with_model().await;
    let mut rest = Rest::new(&ledger).await;
    active(&mut rest, "greet", "Hi {{name}}").await;
    for _ in 0..2 {
        let message = json!({"role": "assistant", "content": null, "refusal": "I will not."});
        model.next(Reply::json(&json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})));
        let ran = rest.post("/v1/executions:run", serde_json::from_str(&greet()).unwrap()).await;
        assert_eq!((&ran["refused"], &ran["response_text"]), (&json!(true), &json!("I will not.")));
    }
}

#[tokio::test]
async fn every_kind_of_event_is_as_it_is_described() {
    let (ledger, model) = ledger_with_model().await;
    let mut rest = Rest::new(&ledger).await;
    active(&mut rest, "greet", "Hi {{name}}").await;
    let mut client = Client::http2(&ledger).await;
    let gate = Gate::new();
    model.next(Reply::answer("one two").held_after(1, &gate));
    let id = submit(&mut client).await;
    let one = format!("/v1/executions/{id}/events");
    let mut watched = watch(&mut client, &id, "").await;
    let mut many = Events::of(client.open(Method::GET, "/v1/executions/events", &[], "").await);
    let mut seen = HashSet::new();
    let mut check = |path: &str, event: SentEvent| {
        rest.check_event(&Method::GET, path, &event.kind, &event.data);
        seen.insert(event.kind);
    };
    check(&one, watched.until("text_delta").await);
    for kind in ["snapshot", "synced"] {
        check("/v1/executions/events", many.until(kind).await);
    }
    gate.open();
    for event in watched.rest().await {
        check(&one, event);
    }
    check("/v1/executions/events", many.until("state_changed").await);
    ledger.signal("TERM");
    for event in many.rest().await {
        check("/v1/executions/events", event);
    }
    let kinds = ["snapshot", "state_changed", "text_delta", "synced", "end", "failure"];
    assert!(kinds.iter().all(|kind| seen.contains(*kind)), "{seen:?}");
}

#[tokio::test]
async fn a_reader_goes_on_behind_a_drain_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    let start = || {
        ledger()
            .expects("execution ended")
            .openai(&model.base_url())
            .env("SHUTDOWN_GRACE", "9s")
            .data_dir(folder.path())
            .start()
    };
    let before = start().await;
    before.active("greet", "Hi {{name}}").await;
    model.next(Reply::hang());
    let mut client = Client::http1(&before).await;
    let id = submit(&mut client).await;
    model.wait_for_calls(1).await;
    let mut events = watch(&mut client, &id, "").await;
    let mut last = String::new();
    while last != "2" {
        last = events.next().await.unwrap().id.unwrap_or(last);
    }
    before.signal("TERM");
    let told = events.rest().await;
    assert_eq!(told.last().map(|event| &*event.kind), Some("failure"), "{told:?}");
    last = told.iter().filter_map(|event| event.id.clone()).next_back().unwrap_or(last);
    assert!(before.ended().await.status.success());

    model.otherwise(Reply::answer("again"));
    let after = start().await;
    for mut client in Client::both(&after).await {
        let rest = watch(&mut client, &id, &last).await.rest().await;
        let ids: Vec<i64> = rest.iter().filter_map(|event| event.id.as_deref()?.parse().ok()).collect();
        let from = last.parse::<i64>().unwrap() + 1;
        let expected: Vec<_> = (from..).take(ids.len()).collect();
        assert_eq!(ids, expected, "each once, in order: {rest:?}");
        let [.., ended, end] = &rest[..] else { panic!("{rest:?}") };
        assert_eq!((&*end.kind, &ended.data["execution"]["response_text"]), ("end", &json!("again")));
    }
}
