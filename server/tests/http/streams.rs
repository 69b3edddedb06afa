//! Server-sent events: what is told, going on after a break, drain, slow readers.

use std::collections::HashMap;

use http::Method;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use serde_json::json;

use crate::client::Client;
use crate::sent_events::{Events, SentEvent};
use crate::{ledger, ledger_with_model};

fn kinds(events: &[SentEvent]) -> Vec<&str> {
    events.iter().map(|event| &*event.kind).collect()
}

pub(crate) fn greet() -> String {
    json!({"prompt_name": "greet", "variables": {"name": "Ada"}}).to_string()
}

pub(crate) async fn stream(client: &mut Client, headers: &[(&str, &str)], body: String) -> Events {
    Events::of(client.open(Method::POST, "/v1/executions:stream", headers, body).await)
}

pub(crate) async fn watch(client: &mut Client, id: &str, last: &str) -> Events {
    let headers = [("last-event-id", last)];
    Events::of(client.open(Method::GET, &format!("/v1/executions/{id}/events"), &headers, "").await)
}

/// Submits an execution whose text is sent as it is written, and returns its id.
pub(crate) async fn submit(client: &mut Client) -> String {
    let body = json!({"prompt_name": "greet", "variables": {"name": "Ada"}, "stream_text": true}).to_string();
    let answer = client.send(Method::POST, "/v1/executions:submit", &[], body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["execution_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_stream_tells_where_it_stands_what_is_written_and_how_it_ended() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "Hi {{name}}").await;
    for mut client in Client::both(&ledger).await {
        for path in ["/v1/executions:stream", "/v1/executions/stream", "/v1/executions%3Astream"] {
            let gate = Gate::new();
            model.next(Reply::answer("one two three four").held_after(2, &gate));
            let mut events = Events::of(client.open(Method::POST, path, &[], greet()).await);
            let snapshot = events.next().await.unwrap();
            assert_eq!((&*snapshot.kind, snapshot.id), ("snapshot", None));
            assert_eq!((&snapshot.data["status"], &snapshot.data["reused"]), (&json!("running"), &json!(false)));
            let running = events.next().await.unwrap();
            assert_eq!((&*running.kind, running.id.as_deref()), ("state_changed", Some("1")));
            assert_eq!((&running.data["to"], &running.data["terminal"]), (&json!("running"), &json!(false)));
            // Before the model has ended.
            let delta = events.next().await.unwrap();
            assert_eq!((&*delta.kind, delta.id.as_deref()), ("text_delta", None));
            assert_eq!(delta.data["offset"], 0);
            gate.open();
            let rest = events.rest().await;
            let text = |event: &SentEvent| event.data["text"].as_str().unwrap_or_default().to_owned();
            let written: String = std::iter::once(&delta).chain(&rest).map(text).collect();
            assert_eq!(written, "one two three four");
            let [.., last, end] = &rest[..] else { panic!("{rest:?}") };
            assert_eq!((&*last.kind, last.id.as_deref()), ("state_changed", Some("2")));
            assert_eq!((&last.data["terminal"], &last.data["to"]), (&json!(true), &json!("succeeded")));
            let ended = &last.data["execution"];
            assert_eq!((&ended["response_text"], &ended["status"]), (&json!(written), &json!("succeeded")));
            assert_eq!((&*end.kind, &end.id, &end.data["status"]), ("end", &None, &json!("succeeded")));
            let id = end.data["execution_id"].as_str().unwrap();
            let stored = client.get(&format!("/v1/executions/{id}")).await.json();
            assert_eq!(stored["response_text"], ended["response_text"]);
        }
    }
}

#[tokio::test]
async fn what_is_refused_before_the_first_event_is_a_plain_error() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "Hi {{name}}").await;
    let unknown = "0190163d-8694-739b-aea5-966c26f8ad91";
    for mut client in Client::both(&ledger).await {
        let id = submit(&mut client).await;
        watch(&mut client, &id, "").await.rest().await;
        let post = (Method::POST, "/v1/executions:stream".to_owned());
        let get = |path: String| (Method::GET, path);
        for ((method, path), last, body, status, code) in [
            (post.clone(), "", json!({"prompt_name": "none"}), 404, "PROMPT_NOT_FOUND"),
            (post.clone(), "", json!({"prompt_name": "greet"}), 400, "VARIABLES_MISSING"),
            (post, "", json!({"prompt_nam": "greet"}), 400, "INVALID_FIELD"),
            (get(format!("/v1/executions/{unknown}/events")), "", json!(""), 404, "EXECUTION_NOT_FOUND"),
            (get("/v1/executions/x/events".into()), "", json!(""), 400, "INVALID_FIELD"),
            (get(format!("/v1/executions/{id}/events?after_sequence=-1")), "", json!(""), 400, "INVALID_FIELD"),
            (get(format!("/v1/executions/{id}/events?after_sequence=9")), "", json!(""), 400, "SEQUENCE_AHEAD"),
            (get(format!("/v1/executions/{id}/events?after=1")), "", json!(""), 400, "INVALID_FIELD"),
            (get(format!("/v1/executions/{id}/events")), "9", json!(""), 400, "SEQUENCE_AHEAD"),
            (get(format!("/v1/executions/{id}/events")), "x", json!(""), 400, "INVALID_FIELD"),
            (get("/v1/executions/events?since=yesterday".into()), "", json!(""), 400, "INVALID_FIELD"),
            (get("/v1/executions/events?status=odd".into()), "", json!(""), 400, "INVALID_FIELD"),
            (get("/v1/executions/events".into()), "7", json!(""), 400, "INVALID_FIELD"),
        ] {
            let body = if method == Method::POST { body.to_string() } else { String::new() };
            let answer = client.send(method, &path, &[("last-event-id", last)], body).await;
            assert_eq!((answer.status.as_u16(), &*answer.code()), (status, code), "{path}");
        }
        // Who posts again after a break would pay again; with an idempotency key it finds what it began.
        let again = [("last-event-id", "1")];
        for path in ["/v1/executions:stream", "/v1/executions:run", "/v1/executions:submit"] {
            let answer = client.send(Method::POST, path, &again, greet()).await;
            assert_eq!((answer.status.as_u16(), &*answer.code()), (400, "INVALID_FIELD"), "{path}");
        }
    }
    assert_eq!(model.calls(), 2);
}

#[tokio::test]
async fn a_reader_goes_on_by_the_id_of_its_last_event_after_the_server_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    let start = || ledger().expects("holder").openai(&model.base_url()).env("LEASE", "5s").data_dir(dir.path()).start();
    let before = start().await;
    before.active("greet", "Hi {{name}}").await;
    let gate = Gate::new();
    // Queued executions are taken again by the server that comes after.
    model.next(Reply::answer("one two").held(&gate));
    let mut client = Client::http2(&before).await;
    let id = submit(&mut client).await;
    let mut all = Events::of(client.open(Method::GET, "/v1/executions/events", &[], "").await);
    let mut events = watch(&mut client, &id, "").await;
    let mut last = String::new();
    while last != "2" {
        last = events.next().await.unwrap().id.unwrap_or(last);
    }
    let synced = all.until("synced").await.id.unwrap();
    before.kill().await;
    assert!(events.next().await.is_none());
    while all.next().await.is_some() {}

    model.otherwise(Reply::answer("again"));
    let after = start().await;
    for mut client in Client::both(&after).await {
        let rest = watch(&mut client, &id, &last).await.rest().await;
        let ids: Vec<_> = rest.iter().filter_map(|event| event.id.as_deref()?.parse::<i64>().ok()).collect();
        assert!(ids.iter().all(|id| *id > 2) && ids.is_sorted() && !ids.is_empty(), "{rest:?}");
        assert_eq!(rest.first().map(|event| &*event.kind), Some("snapshot"), "{rest:?}");
        assert_eq!(rest.last().map(|event| &*event.kind), Some("end"), "{rest:?}");
        // The query does the same.
        let path = format!("/v1/executions/{id}/events?after_sequence={last}");
        let again = Events::of(client.open(Method::GET, &path, &[], "").await).rest().await;
        assert_eq!(again.last().unwrap().data, rest.last().unwrap().data);
        // Of many executions: what has ended meanwhile is told.
        let headers = [("last-event-id", &*synced)];
        let mut all = Events::of(client.open(Method::GET, "/v1/executions/events", &headers, "").await);
        let found = all.until("snapshot").await;
        assert_eq!((&found.data["execution_id"], &found.data["execution"]["execution_id"]), (&json!(id), &json!(id)));
        all.until("synced").await;
    }
}

#[tokio::test]
async fn of_many_executions_each_change_is_told_and_moves_the_time_to_go_on_from() {
    let (ledger, _model) = ledger_with_model().await;
    ledger.active("greet", "Hi {{name}}").await;
    ledger.active("other", "Hi").await;
    for mut client in Client::both(&ledger).await {
        let path = "/v1/executions/events?prompt_name=greet&status=succeeded,failed&view=full";
        let mut second = Client::http2(&ledger).await;
        let mut all = Events::of(second.open(Method::GET, path, &[], "").await);
        let begun = all.until("synced").await.id.unwrap();
        let other = json!({"prompt_name": "other"}).to_string();
        assert_eq!(client.send(Method::POST, "/v1/executions:run", &[], other).await.status, 200);
        let ran = client.send(Method::POST, "/v1/executions:run", &[], greet()).await.json();
        let told = all.until("state_changed").await;
        assert_eq!((&told.data["execution_id"], &told.data["prompt_name"]), (&ran["execution_id"], &json!("greet")));
        assert_eq!(told.data["execution"]["response_text"], ran["response_text"]);
        let id = told.id.unwrap();
        assert!(id > begun, "{begun} {id}");
        // Who goes on from there is told of it again, or of nothing.
        let mut again = Events::of(second.open(Method::GET, path, &[("last-event-id", &id)], "").await);
        again.until("synced").await;
    }
}

#[tokio::test]
async fn a_schema_that_is_written_over_several_lines_stays_in_its_event() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "Hi {{name}}").await;
    let body = greet().replace(
        r#""prompt_name""#,
        "\"tools\": [{\"name\": \"f\", \"parameters\": {\r\n  \"type\":\n\n \"object\",\r\"properties\": {}\n}}], \"prompt_name\"",
    );
    for mut client in Client::both(&ledger).await {
        model.next(Reply::answer("hi"));
        let events = stream(&mut client, &[], body.clone()).await.rest().await;
        let [.., last, end] = &events[..] else { panic!("{events:?}") };
        assert_eq!(last.data["execution"]["tools"][0]["parameters"]["type"], "object", "{last:?}");
        assert_eq!((&*last.kind, &*end.kind), ("state_changed", "end"));
    }
}

#[tokio::test]
async fn a_drain_ends_every_watch_with_a_failure_that_says_when_to_come_back() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "Hi {{name}}").await;
    model.otherwise(Reply::hang());
    let [mut one, mut two] = Client::both(&ledger).await;
    let id = submit(&mut one).await;
    model.wait_for_calls(1).await;
    let mut watches = vec![watch(&mut one, &id, "").await, watch(&mut two, &id, "").await];
    watches.push(Events::of(two.open(Method::GET, "/v1/executions/events", &[], "").await));
    for events in &mut watches {
        events.until("snapshot").await;
    }
    ledger.signal("TERM");
    for events in watches {
        let rest = events.rest().await;
        let failure = rest.last().unwrap();
        assert_eq!((&*failure.kind, &failure.data["error"]["code"]), ("failure", &json!("DRAINING")), "{rest:?}");
        assert_eq!((failure.retry, &failure.id), (Some(1_000), &None));
        assert_eq!(failure.data["detail"], failure.data["error"]["message"]);
    }
    assert!(ledger.ended().await.status.success());
}

#[tokio::test]
async fn who_does_not_read_is_told_so_and_goes_on() {
    let model = FakeModel::start().await;
    let ledger = ledger().openai(&model.base_url()).env("STREAM_STALL_LIMIT", "3s");
    let ledger = ledger.env("LOG", "prompt_ledger_server=debug").start().await;
    ledger.active("greet", "Hi {{name}}").await;
    let gate = Gate::new();
    let text = ("x".repeat(100) + " ").repeat(4_000);
    model.next(Reply::answer(&text).held(&gate));
    let mut client = Client::http2(&ledger).await;
    let id = submit(&mut client).await;
    // Its connection has the initial windows of HTTP/2, which are small: what is not read stalls.
    let mut stalled = watch(&mut Client::narrow(&ledger).await, &id, "").await;
    gate.open();
    // Another reader is not delayed.
    let whole = watch(&mut client, &id, "").await.rest().await;
    let last = &whole[whole.len() - 2];
    assert_eq!(last.data["execution"]["response_text"], json!(text));
    ledger.process().says(|line| line.contains("is not read") && line.contains(&id)).await;
    let mut cursor = String::new();
    let failure = loop {
        let event = stalled.next().await.unwrap();
        if event.kind == "failure" {
            break event;
        }
        cursor = event.id.unwrap_or(cursor);
    };
    assert_eq!(failure.data["error"]["code"], "SLOW_CONSUMER");
    assert_eq!(failure.data["error"]["details"]["last_sequence"], json!(cursor));
    let rest = watch(&mut client, &id, &cursor).await.rest().await;
    assert_eq!(kinds(&rest)[rest.len() - 2..], ["state_changed", "end"]);
}

#[tokio::test]
async fn who_hangs_up_on_a_stream_aborts_the_model_unless_a_key_lets_it_be_found_again() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "Hi {{name}}").await;
    let gate = Gate::new();
    for (count, mut client) in (1..).zip(Client::both(&ledger).await) {
        model.next(Reply::answer("one two three").held_after(1, &gate));
        let mut events = stream(&mut client, &[], greet()).await;
        events.until("text_delta").await;
        drop((events, client));
        model.wait_for_aborts(count).await;
    }
    model.next(Reply::answer("one two three").held_after(1, &gate));
    let key = [("idempotency-key", "order-1")];
    let mut client = Client::http1(&ledger).await;
    let mut events = stream(&mut client, &key, greet()).await;
    events.until("text_delta").await;
    drop((events, client));
    let mut joined = stream(&mut Client::http1(&ledger).await, &key, greet()).await;
    assert_eq!(joined.next().await.unwrap().data["reused"], true);
    gate.open();
    let rest = joined.rest().await;
    assert_eq!(rest[rest.len() - 2].data["execution"]["response_text"], "one two three");
    assert_eq!((model.calls(), model.aborts()), (3, 2));
}

#[tokio::test]
async fn a_quiet_stream_lives_by_heartbeats_that_say_where_it_is() {
    let model = FakeModel::start().await;
    let ledger = ledger().openai(&model.base_url()).env("STREAM_HEARTBEAT", "200ms").start().await;
    ledger.active("greet", "Hi {{name}}").await;
    model.otherwise(Reply::hang());
    for mut client in Client::both(&ledger).await {
        let id = submit(&mut client).await;
        let mut events = watch(&mut client, &id, "").await;
        let mut seen = HashMap::new();
        while seen.get("heartbeat") != Some(&3) {
            let event = events.next().await.unwrap();
            if event.kind == "heartbeat" && seen.contains_key("state_changed") {
                let through = event.data["through_sequence"].to_string();
                assert_eq!(event.id.as_deref(), Some(&*through), "{event:?}");
            }
            *seen.entry(event.kind).or_insert(0) += 1;
        }
    }
}

#[tokio::test]
async fn a_key_has_so_many_streams_over_both_doors_together() {
    let model = FakeModel::start().await;
    let ledger = ledger().expects("TOO_MANY").openai(&model.base_url()).env("MAX_WATCHERS_PER_KEY", "2").start().await;
    ledger.active("greet", "Hi {{name}}").await;
    model.otherwise(Reply::hang());
    let mut client = Client::http2(&ledger).await;
    let id = submit(&mut client).await;
    let _grpc = ledger.watch(&id, 0).await.unwrap();
    let _http = watch(&mut client, &id, "").await;
    let answer = client.get(&format!("/v1/executions/{id}/events")).await;
    assert_eq!((answer.status.as_u16(), &*answer.code()), (429, "TOO_MANY_WATCHERS"));
    assert!(answer.headers.contains_key("retry-after"));
    assert!(answer.json()["detail"].as_str().unwrap().contains("GET /v1/executions/events"));
}
