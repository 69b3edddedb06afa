//! Queued executions in the embedded server, with the same guarantees as in production.

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use prompt_ledger_testkit::ledger::{Ledger, spec};
use prompt_ledger_testkit::watch_record::WatchRecord;

use super::{ledger, ledger_with_model};

async fn submit(ledger: &Ledger, spec: v1::ExecutionSpec) -> String {
    let request = v1::SubmitExecutionRequest { spec: Some(spec) };
    ledger.executions().submit_execution(request).await.unwrap().into_inner().execution_id
}

/// Waits for the execution's end, and returns the execution.
pub(crate) async fn ended(ledger: &Ledger, id: &str) -> v1::Execution {
    WatchRecord::whole(&mut ledger.watch(id, 0).await.unwrap()).await;
    let request = v1::GetExecutionRequest { execution_id: id.to_owned(), view: 0 };
    ledger.executions().get_execution(request).await.unwrap().into_inner().execution.unwrap()
}

#[tokio::test]
async fn a_submitted_execution_runs_in_the_same_process() {
    let (ledger, _model) = ledger_with_model().await;
    ledger.active("greet", "hello {{name}}").await;
    let id = submit(&ledger, spec("greet", &[("name", "Ada")])).await;
    let done = ended(&ledger, &id).await;
    assert_eq!((done.status(), &*done.rendered_prompt), (v1::ExecutionStatus::Succeeded, "hello Ada"));
    assert_eq!((done.mode(), done.attempts), (v1::ExecutionMode::Async, 1));
}

#[tokio::test]
async fn a_running_execution_is_canceled_and_its_call_aborted() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    model.next(Reply::hang());
    let id = submit(&ledger, spec("greet", &[])).await;
    model.wait_for_calls(1).await;
    let request = v1::CancelExecutionRequest { execution_id: id.clone(), reason: "enough".into() };
    let asked = ledger.executions().cancel_execution(request).await.unwrap().into_inner().execution.unwrap();
    assert_eq!(asked.cancel_reason, "enough");
    model.wait_for_aborts(1).await;
    assert_eq!(ended(&ledger, &id).await.status(), v1::ExecutionStatus::Canceled);
}

#[tokio::test]
async fn what_was_queued_when_the_process_ended_runs_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    let start = || ledger().openai(&model.base_url()).env("SHUTDOWN_GRACE", "1s").data_dir(folder.path()).start();
    let before = start().await;
    before.active("greet", "hello").await;
    model.next(Reply::hang());
    let id = submit(&before, spec("greet", &[])).await;
    model.wait_for_calls(1).await;
    assert!(before.terminate().await.status.success());
    let after = start().await;
    let done = ended(&after, &id).await;
    assert_eq!((done.status(), done.attempts), (v1::ExecutionStatus::Succeeded, 2));
    assert_eq!(done.attempt_log[0].error_type, "interrupted");
}
