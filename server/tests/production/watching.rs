//! Watching through any server: every state once and in order, and the text as it is written, whichever process is
//! killed.

use std::collections::BTreeSet;
use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{Gate, Reply};
use prompt_ledger_testkit::ledger::Ledger;
use prompt_ledger_testkit::process::Process;
use prompt_ledger_testkit::services::{Rabbit, Redis};
use prompt_ledger_testkit::watch_record::WatchRecord;
use serde_json::json;

use crate::audit::all_ended_well;
use crate::kit::{Deployment, ended, greet, submit};

type Status = v1::ExecutionStatus;

/// The spec of an execution whose text is sent as it is written.
fn told() -> v1::ExecutionSpec {
    v1::ExecutionSpec { stream_text: Some(true), ..greet() }
}

/// Two servers and one worker.
async fn three(deployment: &Deployment) -> (Ledger, Ledger, Process) {
    let ((one, worker), two) = tokio::join!(deployment.pair(), deployment.server());
    (one, two, worker)
}

fn quick(deployment: Deployment) -> Deployment {
    let deployment = deployment
        .without_holder()
        .with("LEASE", "5s")
        .with("REDISPATCH_AFTER", "500ms")
        .with("SWEEP_INTERVAL", "200ms");
    deployment.with("RETRY_DELAYS", "50ms,50ms,50ms")
}

/// Asserts that the end has the whole text, and that what was read before is its beginning: an end that is read from
/// the database may come before the last text.
fn wrote(record: &WatchRecord, whole: &str) {
    assert_eq!(record.ended.as_ref().unwrap().response_text, whole);
    assert!(whole.starts_with(&record.text), "{record:?}");
}

#[tokio::test]
async fn an_execution_is_watched_from_any_server_and_its_text_comes_from_the_worker() {
    let deployment = Deployment::new().await;
    let (one, two, _worker) = three(&deployment).await;
    let gate = Gate::new();
    deployment.model.next(Reply::answer("one two three four").held_after(2, &gate));
    let id = submit(&one, told()).await;
    let (mut here, mut there) = (one.watch(&id, 0).await.unwrap(), two.watch(&id, 0).await.unwrap());
    let (mut first, mut second) = (WatchRecord::new(), WatchRecord::new());
    first.read(&mut here, |record| record.text == "one two ").await;
    second.read(&mut there, |record| record.text == "one two ").await;
    // A late watch gets the text so far, through a server that has not heard of the execution.
    let three = deployment.server().await;
    let mut late = three.watch(&id, 0).await.unwrap();
    let mut third = WatchRecord::new();
    third.read(&mut late, |record| record.text == "one two ").await;
    gate.open();
    for (record, stream) in [(&mut first, &mut here), (&mut second, &mut there), (&mut third, &mut late)] {
        record.finish(stream).await;
        assert_eq!(record.statuses(), [Status::Queued, Status::Running, Status::Succeeded]);
        wrote(record, "one two three four");
        assert_eq!(record.attempt, 1);
        assert_eq!(record.ended.clone().unwrap(), ended(&two, &id).await);
    }
}

/// A stream in OpenAI's form: a call of a tool whose arguments come in three pieces.
fn calling() -> Vec<String> {
    let piece = |call: serde_json::Value| {
        let chunk = json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": null}]});
        format!("data: {chunk}\n\n")
    };
    let more = |arguments: &str| piece(json!({"index": 0, "function": {"arguments": arguments}}));
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]});
    vec![
        piece(json!({"index": 0, "id": "call_a", "function": {"name": "weather", "arguments": "{\"city\""}})),
        more(": \"Kö"),
        more("ln\"}"),
        format!("data: {end}\n\ndata: [DONE]\n\n"),
    ]
}

#[tokio::test]
async fn tool_calls_are_watched_from_any_server_while_they_are_written() {
    let deployment = Deployment::new().await;
    let (one, two, _worker) = three(&deployment).await;
    let gate = Gate::new();
    deployment.model.next(Reply::events(calling()).held_after(2, &gate));
    let parameters_json = "{\"type\": \"object\"}".to_owned();
    let tool = v1::Tool { name: "weather".into(), parameters_json, ..v1::Tool::default() };
    let id = submit(&one, v1::ExecutionSpec { tools: vec![tool], ..told() }).await;
    let (mut here, mut there) = (one.watch(&id, 0).await.unwrap(), two.watch(&id, 0).await.unwrap());
    let (mut first, mut second) = (WatchRecord::new(), WatchRecord::new());
    let call = |arguments: &str| {
        vec![v1::ToolCall { id: "call_a".into(), name: "weather".into(), arguments: arguments.into() }]
    };
    first.read(&mut here, |record| record.calls == call("{\"city\": \"Kö")).await;
    second.read(&mut there, |record| record.calls == call("{\"city\": \"Kö")).await;
    let mut late = two.watch(&id, 0).await.unwrap();
    let mut third = WatchRecord::new();
    third.read(&mut late, |record| record.calls == call("{\"city\": \"Kö")).await;
    gate.open();
    for (record, stream) in [(&mut first, &mut here), (&mut second, &mut there), (&mut third, &mut late)] {
        record.finish(stream).await;
        let whole = "{\"city\": \"Köln\"}";
        assert_eq!(record.ended.as_ref().unwrap().response_tool_calls, call(whole));
        // As `wrote` says.
        let read = &*record.calls[0].arguments;
        assert!(whole.starts_with(read) && record.calls == call(read), "{record:?}");
    }
}

#[tokio::test]
async fn a_stream_of_one_server_is_watched_on_another() {
    let deployment = Deployment::new().await;
    let (one, two, _worker) = three(&deployment).await;
    let gate = Gate::new();
    deployment.model.next(Reply::answer("one two three").held_after(1, &gate));
    let mut stream = one.stream(greet()).await;
    let mut record = WatchRecord::new();
    record.read(&mut stream, |record| record.deltas > 0).await;
    let id = record.id.clone();
    let mut there = two.watch(&id, 0).await.unwrap();
    let mut other = WatchRecord::new();
    other.read(&mut there, |record| record.text == "one ").await;
    gate.open();
    record.finish(&mut stream).await;
    other.finish(&mut there).await;
    wrote(&other, "one two three");
    assert_eq!(other.ended, record.ended);
}

#[tokio::test]
async fn a_watch_goes_on_at_another_server_when_its_own_is_killed() {
    let deployment = Deployment::new().await.without_holder();
    let (one, two, _worker) = three(&deployment).await;
    let gate = Gate::new();
    deployment.model.next(Reply::answer("one two three").held_after(1, &gate));
    let id = submit(&two, told()).await;
    let mut stream = one.watch(&id, 0).await.unwrap();
    let mut record = WatchRecord::new();
    record.read(&mut stream, |record| record.deltas > 0).await;
    one.kill().await;
    assert!(record.read(&mut stream, |_| false).await.is_some());
    let mut again = two.watch(&id, record.cursor).await.unwrap();
    record.read(&mut again, |record| record.greeted && record.text == "one ").await;
    gate.open();
    record.finish(&mut again).await;
    wrote(&record, "one two three");
    assert_eq!(record.events.len(), 3);
}

#[tokio::test]
async fn a_worker_that_is_killed_in_mid_text_takes_it_along_and_attempt_two_is_read_instead() {
    let deployment = quick(Deployment::new().await);
    let (one, _two, worker) = three(&deployment).await;
    let (never, gate) = (Gate::new(), Gate::new());
    deployment.model.next(Reply::answer("lost text").held_after(1, &never));
    deployment.model.next(Reply::answer("one two").held_after(1, &gate));
    let id = submit(&one, told()).await;
    let mut stream = one.watch(&id, 0).await.unwrap();
    let mut record = WatchRecord::new();
    record.read(&mut stream, |record| record.text == "lost ").await;
    worker.kill().await;
    let _other = deployment.worker().await;
    record.read(&mut stream, |record| record.attempt == 2 && record.text == "one ").await;
    gate.open();
    record.finish(&mut stream).await;
    let expected = [Status::Queued, Status::Running, Status::Queued, Status::Running, Status::Succeeded];
    wrote(&record, "one two");
    assert_eq!((record.statuses(), record.attempt), (expected.to_vec(), 2));
    all_ended_well(&deployment, &one, &[id]).await;
}

#[tokio::test]
async fn redis_killed_in_mid_stream_costs_a_moment_and_no_event() {
    let (mut redis, rabbit) = tokio::join!(Redis::start(), Rabbit::start());
    let deployment =
        quick(Deployment::new().await).without_broker().with("REDIS_URL", &redis.url()).with("AMQP_URL", &rabbit.url());
    // Nobody goes away.
    let deployment = deployment.with("LEASE", "30s");
    let (one, two, _worker) = three(&deployment).await;
    let gate = Gate::new();
    deployment.model.next(Reply::answer("one two three").held_after(1, &gate));
    let id = submit(&one, told()).await;
    let mut stream = two.watch(&id, 0).await.unwrap();
    let mut record = WatchRecord::new();
    record.read(&mut stream, |record| record.text == "one ").await;
    redis.kill();
    gate.open();
    record.finish(&mut stream).await;
    assert_eq!((record.events.len(), record.ended.unwrap().response_text), (3, "one two three".to_owned()));
    // Without Redis the text comes through RabbitMQ, and through Redis again once it is back.
    for back in [false, true] {
        if back {
            redis.restart().await;
        }
        let rest = Gate::new();
        deployment.model.next(Reply::answer("four five").held_after(1, &rest));
        let id = submit(&one, told()).await;
        let mut stream = two.watch(&id, 0).await.unwrap();
        let mut record = WatchRecord::new();
        record.read(&mut stream, |record| record.text == "four ").await;
        rest.open();
        record.finish(&mut stream).await;
        // Its last text and its end may come through different brokers.
        assert!("four five".starts_with(&record.text), "{record:?}");
        assert_eq!(record.ended.unwrap().response_text, "four five");
    }
}

#[tokio::test]
async fn with_no_broker_at_all_a_lost_announcement_costs_a_second_and_never_an_event() {
    let deployment =
        Deployment::new().await.without_broker().with("REDIS_URL", "redis://127.0.0.1:1").with("AMQP_URL", "");
    // Nobody goes away.
    let deployment = quick(deployment).with("LEASE", "30s");
    let (one, two, _worker) = three(&deployment).await;
    let began = tokio::time::Instant::now();
    let id = submit(&one, greet()).await;
    let mut stream = two.watch(&id, 0).await.unwrap();
    let record = WatchRecord::whole(&mut stream).await;
    assert_eq!(record.statuses(), [Status::Queued, Status::Running, Status::Succeeded]);
    // The time until it is available without a hint, and one poll each of the worker and of the server: far less than
    // a hang.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_feed_on_one_server_tells_what_another_and_its_worker_do() {
    let deployment = Deployment::new().await;
    let (one, two, _worker) = three(&deployment).await;
    let mut feed = two.executions().watch_executions(v1::WatchExecutionsRequest::default()).await.unwrap().into_inner();
    let next = async |feed: &mut tonic::Streaming<v1::WatchExecutionsResponse>| {
        feed.message().await.unwrap().unwrap().event.unwrap()
    };
    assert!(matches!(next(&mut feed).await.kind, Some(v1::execution_event::Kind::Synced(_))));
    let id = submit(&one, greet()).await;
    // Each at least once, in any order.
    let all = async {
        let mut sequences = BTreeSet::new();
        while sequences.len() < 3 {
            let event = next(&mut feed).await;
            if matches!(event.kind, Some(v1::execution_event::Kind::Heartbeat(_))) {
                continue;
            }
            assert_eq!((&event.execution_id, event.terminal), (&id, event.sequence == 3), "{event:?}");
            sequences.insert(event.sequence);
        }
        sequences
    };
    let sequences = tokio::time::timeout(Duration::from_secs(60), all).await.expect("nothing more comes");
    assert_eq!(sequences, BTreeSet::from([1, 2, 3]));
}

/// The next number of a fixed pseudo-random sequence, in `0..below`.
fn random(state: &mut u64, below: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % below
}

#[tokio::test]
async fn ten_thousand_disconnects_leave_no_gap_no_duplicate_and_the_right_order() {
    const WATCHERS: u64 = 100;
    const DISCONNECTS: usize = 100;
    let deployment = Deployment::new().await;
    let (one, two, _worker) = three(&deployment).await;
    let servers = std::sync::Arc::new([one, two]);
    deployment.model.otherwise(Reply::answer("one two three four five six seven").delay(Duration::from_millis(5)));
    let watchers = (0..WATCHERS).map(|number| {
        let servers = std::sync::Arc::clone(&servers);
        tokio::spawn(async move {
            let mut state = number * 7_919 + 1;
            let mut disconnects = 0;
            while disconnects < DISCONNECTS {
                let id = submit(&servers[usize::try_from(random(&mut state, 2)).unwrap()], told()).await;
                let mut record = WatchRecord::new();
                while record.ended.is_none() {
                    let server = &servers[usize::try_from(random(&mut state, 2)).unwrap()];
                    let mut stream = server.watch(&id, record.cursor).await.unwrap();
                    let messages = usize::try_from(random(&mut state, 4)).unwrap();
                    let enough = record.messages + messages;
                    let failed = record.read(&mut stream, |record| record.messages >= enough).await;
                    assert!(failed.is_none(), "{failed:?} after {record:?}");
                    record.resume();
                    disconnects += 1;
                }
                assert_eq!(record.statuses(), [Status::Queued, Status::Running, Status::Succeeded]);
                assert_eq!(record.ended.unwrap().response_text, "one two three four five six seven");
            }
            disconnects
        })
    });
    let mut disconnects = 0;
    for watcher in watchers.collect::<Vec<_>>() {
        disconnects += watcher.await.unwrap();
    }
    assert!(disconnects >= 10_000, "{disconnects}");
}
