//! SIGTERM: new calls are refused, running ones may end, and the process ends within its grace.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{Metadata, server, spec};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::{ledger, ledger_with_model, lists, refused};

#[tokio::test]
async fn an_idle_server_ends_at_once() {
    let ledger = ledger().start().await;
    ledger.active("greet", "hello").await;
    let ended = ledger.terminate().await;
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.took < Duration::from_secs(5), "{ended:?}");
}

#[tokio::test]
async fn a_closed_terminal_ends_it_in_order_unless_it_was_started_to_outlive_that() {
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, commands: &str| {
        let script = folder.path().join(name);
        let binary = env!("CARGO_BIN_EXE_prompt-ledger");
        std::fs::write(&script, format!("#!/bin/sh\n{commands} {binary} \"$@\"\n")).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        script
    };
    // What started the tests may ignore the signal itself.
    let ends = server(script("terminal", "exec env --default-signal=HUP")).start().await;
    ends.signal("HUP");
    let ended = ends.ended().await;
    assert!(ended.status.success() && ended.output.iter().any(|line| line.contains("shut down")), "{ended:?}");

    let stays = server(script("nohup", "trap '' HUP\nexec")).start().await;
    stays.signal("HUP");
    stays.active("greet", "hello").await;
    let ended = stays.terminate().await;
    assert!(ended.status.success() && ended.output.iter().any(|line| line.contains("SIGHUP")), "{ended:?}");
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

#[tokio::test]
async fn a_call_that_outlasts_the_grace_is_aborted_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    let start = || {
        ledger()
            .expects("execution ended")
            .openai(&model.base_url())
            .env("SHUTDOWN_GRACE", "3s")
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
    assert!(ended.took < Duration::from_secs(3), "{ended:?}");
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
    // It waits: a call behind it on its connection is answered.
    let short = v1::GetExecutionRequest { execution_id: id.clone(), ..v1::GetExecutionRequest::default() };
    ledger.executions().get_execution(short).await.unwrap();
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
