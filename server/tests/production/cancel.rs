//! Canceling: in the queue, within the call, through another server, and without the bus.

use std::time::{Duration, Instant};

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::Reply;
use prompt_ledger_testkit::ledger::Ledger;
use tonic::{Code, Status};

use crate::audit::all_ended_well;
use crate::kit::{Deployment, ended, get, greet, submit};

async fn cancel(server: &Ledger, id: &str) -> Result<v1::Execution, Status> {
    let request = v1::CancelExecutionRequest { execution_id: id.to_owned(), reason: "a mistake".into() };
    server.executions().cancel_execution(request).await.map(|answer| answer.into_inner().execution.unwrap())
}

#[tokio::test]
async fn a_queued_execution_is_canceled_at_once_and_never_run() {
    let deployment = Deployment::new().await.without_worker();
    let server = deployment.server().await;
    server.active("greet", "hello").await;
    let id = submit(&server, greet()).await;
    let canceled = cancel(&server, &id).await.unwrap();
    assert_eq!((canceled.status(), &*canceled.cancel_reason), (v1::ExecutionStatus::Canceled, "a mistake"));
    assert_eq!(cancel(&server, &id).await.unwrap(), canceled, "canceled already is OK");
    let _worker = deployment.worker().await;
    let other = submit(&server, greet()).await;
    all_ended_well(&deployment, &server, &[id.clone(), other.clone()]).await;
    assert_eq!(deployment.model.calls(), 1);

    let finished = cancel(&server, &other).await.unwrap_err();
    assert_eq!(finished.code(), Code::FailedPrecondition, "{finished:?}");
    let unknown = cancel(&server, "018f3f5e-0000-7000-8000-000000000001").await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    assert_eq!(cancel(&server, "nonsense").await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_running_execution_is_aborted_through_to_the_provider_call() {
    let deployment = Deployment::new().await;
    let ((server, _worker), other) = (deployment.pair().await, deployment.server().await);
    deployment.model.next(Reply::hang());
    let id = submit(&server, greet()).await;
    deployment.model.wait_for_calls(1).await;
    let asked = Instant::now();
    let told = cancel(&other, &id).await.unwrap();
    // Its holder may have heard of it already.
    let is_known = matches!(told.status(), v1::ExecutionStatus::Running | v1::ExecutionStatus::Canceled);
    assert!(is_known, "{told:?}");
    deployment.model.wait_for_aborts(1).await;
    let canceled = ended(&server, &id).await;
    assert_eq!((canceled.status(), &*canceled.error_type), (v1::ExecutionStatus::Canceled, ""));
    assert!(asked.elapsed() < Duration::from_secs(20));
    all_ended_well(&deployment, &server, &[id]).await;
}

#[tokio::test]
async fn a_sync_execution_is_canceled_from_another_server() {
    let deployment = Deployment::new().await;
    let (server, other) = (deployment.server().await, deployment.server().await);
    server.active("greet", "hello").await;
    deployment.model.next(Reply::hang());
    let mut client = server.executions();
    let run = v1::RunExecutionRequest { spec: Some(greet()) };
    let running = tokio::spawn(async move { client.run_execution(run).await.unwrap().into_inner().execution.unwrap() });
    deployment.model.wait_for_calls(1).await;
    let listed = other.executions().list_executions(v1::ListExecutionsRequest::default()).await.unwrap();
    cancel(&other, &listed.into_inner().executions[0].execution_id).await.unwrap();
    assert_eq!(running.await.unwrap().status(), v1::ExecutionStatus::Canceled);
}

#[tokio::test]
async fn without_a_bus_the_holder_finds_the_wish_by_itself() {
    let shared = Deployment::new().await;
    let deployment =
        shared.expects("neither REDIS_URL").with("REDIS_URL", "").with("AMQP_URL", "").with("SWEEP_INTERVAL", "100ms");
    let deployment = deployment.with("REDISPATCH_AFTER", "100ms");
    let (server, _worker) = deployment.pair().await;
    deployment.model.next(Reply::hang());
    let id = submit(&server, greet()).await;
    deployment.model.wait_for_calls(1).await;
    cancel(&server, &id).await.unwrap();
    deployment.model.wait_for_aborts(1).await;
    assert_eq!(ended(&server, &id).await.status(), v1::ExecutionStatus::Canceled);
    assert_eq!(get(&server, &id).await.attempts, 1);
}

#[tokio::test]
async fn a_canceled_execution_whose_worker_dies_is_not_run_again() {
    let deployment = Deployment::new().await.without_holder().with("LEASE", "5s");
    let (server, worker) = deployment.pair().await;
    deployment.model.next(Reply::hang());
    let id = submit(&server, greet()).await;
    deployment.model.wait_for_calls(1).await;
    worker.signal("STOP");
    cancel(&server, &id).await.unwrap();
    worker.kill().await;
    let _another = deployment.worker().await;
    let canceled = ended(&server, &id).await;
    assert_eq!((canceled.status(), canceled.attempts), (v1::ExecutionStatus::Canceled, 1));
    all_ended_well(&deployment, &server, &[id]).await;
    assert_eq!(deployment.model.calls(), 1);
}
