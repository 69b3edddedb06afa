//! SIGTERM: new calls are refused, running ones may end, and the process ends within its grace.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::RecvStream;
use http::{Request, Response};
use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{Ledger, Metadata, server, spec};
use prompt_ledger_testkit::{metrics, poll, shell};
use prost::Message as _;
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::{ledger, ledger_with_model, lists, refused};

#[tokio::test]
async fn an_idle_server_ends_at_once() {
    let ledger = ledger().env("SHUTDOWN_GRACE", "60s").start().await;
    ledger.active("greet", "hello").await;
    let ended = ledger.terminate().await;
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.took < Duration::from_secs(20), "{ended:?}");
}

#[tokio::test]
async fn a_closed_terminal_ends_it_in_order_unless_it_was_started_to_outlive_that() {
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, commands: &str| {
        let script = folder.path().join(name);
        let binary = env!("CARGO_BIN_EXE_prompt-ledger");
        shell::script(&script, &format!("#!/bin/sh\n{commands} {binary} \"$@\"\n"));
        script
    };
    // What started the tests may ignore the signal itself.
    let ends = server(script("terminal", "exec env --default-signal=HUP")).start().await;
    ends.signal("HUP");
    let ended = ends.ended().await;
    assert!(ended.status.success() && ended.output.iter().any(|line| line.contains("shut down")), "{ended:?}");

    let stays = server(script("nohup", "trap '' HUP\nexec")).start().await;
    stays.signal("HUP");
    stays.process().says(|line| line.contains("SIGHUP")).await;
    stays.active("greet", "hello").await;
    let ended = stays.terminate().await;
    assert!(ended.status.success(), "{ended:?}");
}

#[tokio::test]
async fn a_running_call_may_end_within_the_grace() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let gate = Gate::new();
    model.next(Reply::answer("in time").held(&gate));
    let mut executions = ledger.executions();
    let run = v1::RunExecutionRequest { spec: Some(spec("greet", &[])) };
    let running = tokio::spawn(async move { executions.run_execution(run).await });
    model.wait_for_calls(1).await;
    ledger.signal("TERM");
    gate.open();
    let ended = ledger.ended().await;
    let ran = running.await.unwrap().unwrap().into_inner().execution.unwrap();
    assert_eq!((ran.status(), &*ran.response_text), (v1::ExecutionStatus::Succeeded, "in time"));
    assert!(ended.status.success(), "{ended:?}");
}

/// Of the answer to a call that ends as a drain begins, so much is sent before its caller reads; the answer is larger.
const WINDOW: u32 = 128 * 1024;
const ANSWER_BYTES: usize = 400 * 1024;

/// Runs an execution with a large answer, and asks the server to end meanwhile. The answer, of which nothing was read yet.
async fn answered_in_a_drain(ledger: &Ledger, model: &FakeModel) -> Response<RecvStream> {
    ledger.active("greet", "hello").await;
    let gate = Gate::new();
    model.next(Reply::answer("x".repeat(ANSWER_BYTES)).held(&gate));
    let stream = TcpStream::connect(&ledger.addr).await.unwrap();
    let mut builder = h2::client::Builder::new();
    let (requests, connection) = builder.initial_window_size(WINDOW).handshake::<_, Bytes>(stream).await.unwrap();
    tokio::spawn(connection);
    let call = Request::post(format!("http://{}/promptledger.v1.ExecutionService/RunExecution", ledger.addr))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-api-key", &ledger.key);
    let (response, mut body) = requests.ready().await.unwrap().send_request(call.body(()).unwrap(), false).unwrap();
    let message = v1::RunExecutionRequest { spec: Some(spec("greet", &[])) }.encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(message.len().try_into().unwrap());
    frame.put_slice(&message);
    body.send_data(frame.freeze(), true).unwrap();
    model.wait_for_calls(1).await;
    ledger.signal("TERM");
    gate.open();
    response.await.unwrap()
}

#[tokio::test]
async fn the_last_answers_reach_callers_that_read_slowly() {
    let model = FakeModel::start().await;
    let ledger = ledger().openai(&model.base_url()).env("SHUTDOWN_GRACE", "30s").start().await;
    let mut body = answered_in_a_drain(&ledger, &model).await.into_body();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut read = Vec::new();
    while let Some(piece) = body.data().await {
        let piece: Bytes = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        read.extend_from_slice(&piece);
    }
    let trailers = body.trailers().await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    let ran = v1::RunExecutionResponse::decode(&read[5..]).unwrap().execution.unwrap();
    assert_eq!((ran.status(), ran.response_text.len()), (v1::ExecutionStatus::Succeeded, ANSWER_BYTES));
    let ended = ledger.ended().await;
    assert!(ended.status.success(), "{ended:?}");
}

#[tokio::test]
async fn a_caller_that_reads_nothing_delays_the_end_by_some_seconds_at_most() {
    let model = FakeModel::start().await;
    let ledger = ledger().openai(&model.base_url()).env("SHUTDOWN_GRACE", "60s").start().await;
    let _unread = answered_in_a_drain(&ledger, &model).await;
    let ended = ledger.ended().await;
    assert!(ended.status.success() && ended.took < Duration::from_secs(20), "{ended:?}");
}

#[tokio::test]
async fn a_call_that_outlasts_the_grace_is_aborted_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    let start = || {
        ledger()
            .expects("execution ended")
            .openai(&model.base_url())
            .env("SHUTDOWN_GRACE", "9s")
            .env("HANDSHAKE_TIMEOUT", "1m")
            .data_dir(folder.path())
            .start()
    };
    let before = start().await;
    before.active("greet", "hello").await;
    model.next(Reply::hang());
    let mut executions = before.executions();
    let run = v1::RunExecutionRequest { spec: Some(spec("greet", &[])) };
    let running = tokio::spawn(async move { executions.run_execution(run).await });
    model.wait_for_calls(1).await;
    // Neither an open health watch nor an idle connection delays the end of the process.
    let mut health = HealthClient::new(before.connection_with(Metadata::none()));
    let _watch = health.watch(HealthCheckRequest { service: String::new() }).await.unwrap();
    let _silent = TcpStream::connect(&before.addr).await.unwrap();
    let ended = before.terminate().await;
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.took < Duration::from_secs(20), "{ended:?}");
    let ran = running.await.unwrap().unwrap().into_inner().execution.unwrap();
    assert_eq!((ran.status(), &*ran.error_type), (v1::ExecutionStatus::Failed, "interrupted"));

    let after = start().await;
    let found = lists::first_with(&after, v1::ExecutionStatus::Failed).await;
    assert_eq!(found.execution_id, ran.execution_id);
}

#[tokio::test]
async fn who_waits_for_an_end_is_answered_with_the_present_state_when_a_drain_begins() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let gate = Gate::new();
    model.next(Reply::answer("late").held(&gate));
    let id = ledger.submit(spec("greet", &[])).await;
    model.wait_for_calls(1).await;
    let mut executions = ledger.executions();
    let wait = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    let get = v1::GetExecutionRequest { execution_id: id.clone(), wait, ..v1::GetExecutionRequest::default() };
    let waiting = tokio::spawn(async move { executions.get_execution(get).await });
    // It waits once it has read the events of its execution; nothing else here reads any.
    let addr = metrics::served_at(ledger.process()).await;
    let waits = async || {
        let reads = r#"prompt_ledger_store_duration_seconds_count{group="read",outcome="ok"}"#;
        metrics::fetched(addr).await.value(reads).filter(|count| *count >= 1.0).ok_or("it has not read yet")
    };
    poll::eventually("it to wait", Duration::from_secs(60), waits).await;
    ledger.signal("TERM");
    let found = waiting.await.unwrap().unwrap().into_inner().execution.unwrap();
    assert_eq!((&found.execution_id, found.status()), (&id, v1::ExecutionStatus::Running));
    gate.open();
    let ended = ledger.ended().await;
    assert!(ended.status.success(), "{ended:?}");
}

#[tokio::test]
async fn a_call_that_waits_for_anothers_execution_ends_and_finds_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    let start = || ledger().openai(&model.base_url()).data_dir(folder.path()).start();
    let before = start().await;
    before.active("greet", "hello").await;
    let keyed = v1::ExecutionSpec { idempotency_key: "order-1".into(), ..spec("greet", &[]) };
    model.next(Reply::hang());
    let id = before.submit(keyed.clone()).await;
    model.wait_for_calls(1).await;
    let mut executions = before.executions();
    let run = v1::RunExecutionRequest { spec: Some(keyed.clone()) };
    let waiting = tokio::spawn(async move { executions.run_execution(run).await });
    // It waits for the execution: another call with its key is answered as reused.
    let submitted = v1::SubmitExecutionRequest { spec: Some(keyed.clone()) };
    assert!(before.executions().submit_execution(submitted).await.unwrap().into_inner().reused);
    before.signal("TERM");
    refused(waiting.await.unwrap(), Code::Unavailable, "DRAINING");
    assert!(before.ended().await.status.success());
    model.otherwise(Reply::answer("hello"));
    let after = start().await;
    assert_eq!(after.run(keyed).await.execution_id, id);
}
