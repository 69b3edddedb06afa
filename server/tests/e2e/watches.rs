//! Watching executions, in one process.

use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{Ledger, Metadata, spec};
use prompt_ledger_testkit::poll;
use prompt_ledger_testkit::watch_record::WatchRecord;
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::{ledger, ledger_with_model, refused};

type Status = v1::ExecutionStatus;

/// An upper bound: what is waited for comes much sooner, or never.
const WAIT_LIMIT: Duration = Duration::from_secs(60);

fn greet() -> v1::ExecutionSpec {
    spec("greet", &[])
}

/// The spec of an execution whose text is sent as it is written.
fn told() -> v1::ExecutionSpec {
    v1::ExecutionSpec { stream_text: Some(true), ..greet() }
}

async fn with_prompt() -> (Ledger, FakeModel) {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    (ledger, model)
}

#[tokio::test]
async fn every_state_is_told_once_and_in_order_from_any_cursor_and_the_end_in_any_case() {
    let (ledger, model) = with_prompt().await;
    let gate = Gate::new();
    model.next(Reply::answer("hi").held(&gate));
    let id = ledger.submit(greet()).await;
    let mut early = ledger.watch(&id, 0).await.unwrap();
    let mut record = WatchRecord::new();
    record.read(&mut early, |record| record.cursor == 2).await;
    assert_eq!(record.statuses(), [Status::Queued, Status::Running]);
    gate.open();
    record.finish(&mut early).await;
    assert_eq!(record.statuses(), [Status::Queued, Status::Running, Status::Succeeded]);
    let ended = record.ended.clone().unwrap();
    assert_eq!((&*ended.response_text, &*ended.rendered_prompt), ("hi", "hello"));
    for (after, left) in [(0, 3), (1, 2), (2, 1), (3, 1)] {
        let mut late = WatchRecord { cursor: after.min(2), ..WatchRecord::new() };
        late.finish(&mut ledger.watch(&id, after).await.unwrap()).await;
        assert_eq!((late.events.len(), late.ended), (left, Some(ended.clone())), "after {after}");
        let snapshot = late.snapshot.unwrap();
        assert_eq!((snapshot.status(), snapshot.attempt, snapshot.through_sequence), (Status::Succeeded, 1, 3));
    }
}

#[tokio::test]
async fn odd_requests_are_refused() {
    let (ledger, _model) = with_prompt().await;
    let id = ledger.submit(greet()).await;
    WatchRecord::whole(&mut ledger.watch(&id, 0).await.unwrap()).await;
    let unknown = "0190163d-8694-739b-aea5-966c26f8ad91";
    refused(ledger.watch(unknown, 0).await, Code::NotFound, "EXECUTION_NOT_FOUND");
    refused(ledger.watch("x", 0).await, Code::InvalidArgument, "INVALID_FIELD");
    refused(ledger.watch(&id, -1).await, Code::InvalidArgument, "INVALID_FIELD");
    let info = refused(ledger.watch(&id, 4).await, Code::OutOfRange, "SEQUENCE_AHEAD");
    assert_eq!(info.metadata["last_sequence"], "3");
}

#[tokio::test]
async fn the_text_of_a_queued_execution_is_read_along_by_who_is_early_and_who_is_late() {
    let (ledger, model) = with_prompt().await;
    let gate = Gate::new();
    model.next(Reply::answer("one two three four").held_after(2, &gate));
    let id = ledger.submit(told()).await;
    let mut early = ledger.watch(&id, 0).await.unwrap();
    let mut first = WatchRecord::new();
    first.read(&mut early, |record| record.text == "one two ").await;
    let mut late = ledger.watch(&id, 2).await.unwrap();
    let mut second = WatchRecord { cursor: 2, ..WatchRecord::new() };
    second.read(&mut late, |record| record.text == "one two ").await;
    gate.open();
    first.finish(&mut early).await;
    second.finish(&mut late).await;
    for record in [first, second] {
        assert_eq!((&*record.text, record.attempt), ("one two three four", 1));
        assert_eq!(record.ended.unwrap().response_text, "one two three four");
    }
}

#[tokio::test]
async fn an_execution_that_does_not_stream_is_asked_whole_and_sends_no_text() {
    let (ledger, model) = with_prompt().await;
    model.next(Reply::answer("one two"));
    let id = ledger.submit(greet()).await;
    let record = WatchRecord::whole(&mut ledger.watch(&id, 0).await.unwrap()).await;
    assert_eq!((record.deltas, &*record.ended.unwrap().response_text), (0, "one two"));
    assert_eq!(model.last_request().body["stream"], false);
}

#[tokio::test]
async fn a_canceled_execution_tells_its_end_while_its_text_is_read() {
    let (ledger, model) = with_prompt().await;
    let gate = Gate::new();
    model.next(Reply::answer("one two").held_after(1, &gate));
    let id = ledger.submit(told()).await;
    let mut stream = ledger.watch(&id, 0).await.unwrap();
    let mut record = WatchRecord::new();
    record.read(&mut stream, |record| record.deltas > 0).await;
    let request = v1::CancelExecutionRequest { execution_id: id, reason: String::new() };
    ledger.executions().cancel_execution(request).await.unwrap();
    record.finish(&mut stream).await;
    assert_eq!(record.ended.unwrap().status(), Status::Canceled);
}

#[tokio::test]
async fn watchers_are_counted_per_key_and_a_place_that_is_left_is_free() {
    let model = FakeModel::start().await;
    let ledger = ledger()
        .expects("TOO_MANY_WATCHERS")
        .openai(&model.base_url())
        .env("MAX_WATCHERS_PER_KEY", "2")
        .env("MAX_WATCHERS", "3");
    let ledger = ledger.env("API_KEY", "another-system-key").start().await;
    ledger.active("greet", "hello").await;
    model.otherwise(Reply::hang());
    let id = ledger.submit(greet()).await;
    let (one, _two) = (ledger.watch(&id, 0).await.unwrap(), ledger.watch(&id, 0).await.unwrap());
    refused(ledger.watch(&id, 0).await, Code::ResourceExhausted, "TOO_MANY_WATCHERS");
    let request = || v1::WatchExecutionsRequest::default();
    let mut executions = ledger.executions();
    refused(executions.watch_executions(request()).await, Code::ResourceExhausted, "TOO_MANY_WATCHERS");
    // Another key has places of its own, until the server has none left.
    let other = || {
        let connection = ledger.connection_with(Metadata::key("another-system-key"));
        v1::execution_service_client::ExecutionServiceClient::new(connection)
    };
    let _three = other().watch_executions(request()).await.unwrap();
    refused(other().watch_executions(request()).await, Code::ResourceExhausted, "TOO_MANY_WATCHERS");
    drop(one);
    poll::eventually("its place to be free", WAIT_LIMIT, async || ledger.watch(&id, 0).await).await;
}

#[tokio::test]
async fn a_stream_ends_at_its_age_and_is_resumed_with_its_cursor() {
    let model = FakeModel::start().await;
    let ledger = ledger().openai(&model.base_url()).env("STREAM_MAX_AGE", "1s").start().await;
    ledger.active("greet", "hello").await;
    let gate = Gate::new();
    model.next(Reply::answer("hi").held(&gate));
    let id = ledger.submit(greet()).await;
    // A stream tells what there is at its begin before its age ends it.
    model.wait_for_calls(1).await;
    let mut record = WatchRecord::new();
    let aged = record.read(&mut ledger.watch(&id, 0).await.unwrap(), |_| false).await.unwrap();
    let info = refused(Err::<(), _>(aged), Code::Unavailable, "DRAINING");
    assert_eq!((&*info.metadata["last_sequence"], record.cursor), ("2", 2));
    gate.open();
    let rest = async {
        while record.ended.is_none() {
            // The end may be written after the age of one more.
            if let Some(aged) = record.read(&mut ledger.watch(&id, record.cursor).await.unwrap(), |_| false).await {
                let info = refused(Err::<(), _>(aged), Code::Unavailable, "DRAINING");
                assert_eq!(info.metadata["last_sequence"], record.cursor.to_string());
            }
        }
    };
    tokio::time::timeout(WAIT_LIMIT, rest).await.expect("the end is not told");
    assert_eq!(record.events.len(), 3);
}

#[tokio::test]
async fn a_drain_ends_watches_at_once_and_a_thousand_of_them_do_not_hold_the_process() {
    let model = FakeModel::start().await;
    let ledger = ledger().openai(&model.base_url()).env("MAX_STREAMS", "2000").env("SHUTDOWN_GRACE", "60s");
    // A connection that says nothing is closed by itself only after the test.
    let ledger = ledger.env("MAX_WATCHERS_PER_KEY", "2000").env("HANDSHAKE_TIMEOUT", "1m").start().await;
    ledger.active("greet", "hello").await;
    let gate = Gate::new();
    model.otherwise(Reply::answer("late").held(&gate));
    let id = ledger.submit(greet()).await;
    let mut watches = Vec::new();
    for _ in 0..1_000 {
        watches.push(ledger.watch(&id, 0).await.unwrap());
    }
    let mut feed =
        ledger.executions().watch_executions(v1::WatchExecutionsRequest::default()).await.unwrap().into_inner();
    let mut health = HealthClient::new(ledger.connection_with(Metadata::none()));
    let mut health = health.watch(HealthCheckRequest { service: String::new() }).await.unwrap().into_inner();
    let _silent = TcpStream::connect(&ledger.addr).await.unwrap();
    assert_eq!(health.message().await.unwrap().unwrap().status, 1);
    let began = tokio::time::Instant::now();
    ledger.signal("TERM");
    assert_eq!(health.message().await.unwrap().unwrap().status, 2);
    for watch in &mut watches {
        let ended = WatchRecord::new().read(watch, |_| false).await.unwrap();
        refused(Err::<(), _>(ended), Code::Unavailable, "DRAINING");
    }
    let ended = loop {
        match feed.message().await {
            Ok(message) => assert!(message.is_some(), "a feed never ends well"),
            Err(ended) => break ended,
        }
    };
    refused(Err::<(), _>(ended), Code::Unavailable, "DRAINING");
    // Far more than it takes, and far less than the grace.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    gate.open();
    let ended = ledger.ended().await;
    assert!(ended.status.success() && ended.took < Duration::from_secs(20), "{ended:?}");
}

#[tokio::test]
async fn a_stream_may_end_within_the_grace_and_is_interrupted_after_it() {
    let model = FakeModel::start().await;
    let ledger =
        ledger().expects("execution ended").openai(&model.base_url()).env("SHUTDOWN_GRACE", "9s").start().await;
    ledger.active("greet", "hello").await;
    let gate = Gate::new();
    model.next(Reply::answer("in time").held(&gate));
    model.next(Reply::hang());
    let mut well = ledger.stream(greet()).await;
    // The first reply is for it.
    model.wait_for_calls(1).await;
    let mut late = ledger.stream(greet()).await;
    model.wait_for_calls(2).await;
    ledger.signal("TERM");
    gate.open();
    assert_eq!(WatchRecord::whole(&mut well).await.ended.unwrap().response_text, "in time");
    let interrupted = WatchRecord::whole(&mut late).await.ended.unwrap();
    assert_eq!((interrupted.status(), &*interrupted.error_type), (Status::Failed, "interrupted"));
    let ended = ledger.ended().await;
    assert!(ended.status.success(), "{ended:?}");
}

#[tokio::test]
async fn who_does_not_read_is_told_so_and_resumes() {
    let model = FakeModel::start().await;
    let ledger = ledger().openai(&model.base_url()).env("STREAM_STALL_LIMIT", "3s");
    let ledger = ledger.env("LOG", "prompt_ledger_server=debug").start().await;
    ledger.active("greet", "hello").await;
    // In one large piece, and in many small ones, which fit into the window for a while.
    let words = "x".repeat(100) + " ";
    for text in ["x".repeat(400_000), words.repeat(4_000)] {
        let gate = Gate::new();
        model.next(Reply::answer(&text).held(&gate));
        let id = ledger.submit(told()).await;
        let mut stalled = narrow(&ledger).await;
        let request = v1::WatchExecutionRequest { execution_id: id.clone(), after_sequence: 0 };
        let mut stalled = stalled.watch_execution(request).await.unwrap().into_inner();
        gate.open();
        // Another stream about the same execution is not delayed.
        let whole = WatchRecord::whole(&mut ledger.watch(&id, 0).await.unwrap()).await;
        assert_eq!(whole.ended.unwrap().response_text, text);
        ledger.process().says(|line| line.contains("is not read") && line.contains(&id)).await;
        let mut record = WatchRecord::new();
        let slow = record.read(&mut stalled, |_| false).await.unwrap();
        let info = refused(Err::<(), _>(slow), Code::Aborted, "SLOW_CONSUMER");
        assert_eq!(info.metadata["last_sequence"], record.cursor.to_string());
        record.finish(&mut ledger.watch(&id, record.cursor).await.unwrap()).await;
        assert_eq!(record.events.len(), 3);
    }
}

#[tokio::test]
async fn a_heartbeat_carries_what_was_sent_on_its_stream() {
    let model = FakeModel::start().await;
    let ledger = ledger().openai(&model.base_url()).env("STREAM_HEARTBEAT", "200ms").start().await;
    ledger.active("greet", "hello").await;
    let gate = Gate::new();
    model.next(Reply::answer("hi").held(&gate));
    let id = ledger.submit(greet()).await;
    model.wait_for_calls(1).await;
    // From the beginning, and from a cursor after which nothing has happened yet.
    for after in [0, 2] {
        let mut stream = ledger.watch(&id, after).await.unwrap();
        let mut record = WatchRecord { cursor: after, ..WatchRecord::new() };
        let failed = record.read(&mut stream, |record| record.heartbeats == 3).await;
        assert!(failed.is_none() && record.cursor == 2, "{failed:?} {record:?}");
    }
    let mut feed =
        ledger.executions().watch_executions(v1::WatchExecutionsRequest::default()).await.unwrap().into_inner();
    loop {
        let event = feed.message().await.unwrap().unwrap().event.unwrap();
        if let Some(v1::execution_event::Kind::Heartbeat(heartbeat)) = event.kind {
            assert_eq!((heartbeat.through_sequence, &*event.execution_id), (0, ""));
            break;
        }
    }
    gate.open();
}

#[tokio::test]
async fn a_watch_ends_by_its_callers_deadline_in_our_words() {
    let (ledger, model) = with_prompt().await;
    model.otherwise(Reply::hang());
    let id = ledger.submit(greet()).await;
    let mut request = tonic::Request::new(v1::WatchExecutionRequest { execution_id: id, after_sequence: 0 });
    request.set_timeout(Duration::from_secs(5));
    let mut watch = ledger.executions().watch_execution(request).await.unwrap().into_inner();
    let late = WatchRecord::new().read(&mut watch, |_| false).await.unwrap();
    refused(Err::<(), _>(late), Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    // With an idempotency key the execution goes on, but the call still ends.
    let keyed = v1::ExecutionSpec { idempotency_key: "order-1".into(), ..greet() };
    let mut request = tonic::Request::new(v1::StreamExecutionRequest { spec: Some(keyed) });
    request.set_timeout(Duration::from_secs(5));
    let mut stream = ledger.executions().stream_execution(request).await.unwrap().into_inner();
    let late = WatchRecord::new().read(&mut stream, |_| false).await.unwrap();
    refused(Err::<(), _>(late), Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert_eq!(model.aborts(), 0);
}

/// A client with the initial windows of HTTP/2, which are small: what it does not read stalls its stream.
async fn narrow(
    ledger: &Ledger,
) -> v1::execution_service_client::ExecutionServiceClient<prompt_ledger_testkit::ledger::Connection> {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", ledger.addr)).unwrap();
    let endpoint = endpoint.initial_stream_window_size(65_535).initial_connection_window_size(65_535);
    let channel = endpoint.connect().await.unwrap();
    let key = Metadata::key(prompt_ledger_testkit::ledger::DEVELOPMENT_KEY);
    v1::execution_service_client::ExecutionServiceClient::with_interceptor(channel, key)
}
