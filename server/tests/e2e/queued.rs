//! Queued executions in the embedded server, with the same guarantees as in production.

use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{Ledger, spec};
use prompt_ledger_testkit::poll::eventually;
use prompt_ledger_testkit::watch_record::WatchRecord;

use super::{ledger, ledger_with_model, refused, wrong_fields};

async fn submit(ledger: &Ledger, spec: v1::ExecutionSpec) -> String {
    let request = v1::SubmitExecutionRequest { spec: Some(spec) };
    ledger.executions().submit_execution(request).await.unwrap().into_inner().execution_id
}

/// Waits for the execution's end, and returns the execution.
pub(crate) async fn ended(ledger: &Ledger, id: &str) -> v1::Execution {
    WatchRecord::whole(&mut ledger.watch(id, 0).await.unwrap()).await;
    let request = v1::GetExecutionRequest { execution_id: id.to_owned(), view: 0, ..Default::default() };
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
async fn a_reader_may_wait_for_the_end() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let gate = Gate::new();
    model.next(Reply::answer("hi").held(&gate));
    let id = submit(&ledger, spec("greet", &[])).await;
    model.wait_for_calls(1).await;
    let get = async |id: &str, wait: Duration, deadline: Duration| {
        let wait = Some(wait.try_into().unwrap());
        let mut request = tonic::Request::new(v1::GetExecutionRequest { execution_id: id.into(), view: 0, wait });
        request.set_timeout(deadline);
        let got = ledger.executions().get_execution(request).await;
        got.map(|answer| answer.into_inner().execution.unwrap().status())
    };
    let (short, long) = (Duration::from_millis(20), Duration::from_secs(60));
    assert_eq!(get(&id, short, long).await.unwrap(), v1::ExecutionStatus::Running, "the time is over");
    // One that ignores the deadline is never in time.
    let near = Duration::from_secs(5);
    let found = eventually("an answer before the deadline", long, async || get(&id, long, near).await).await;
    assert_eq!(found, v1::ExecutionStatus::Running, "the caller's deadline is near");
    let (ended, ()) = tokio::join!(get(&id, long, long), async { gate.open() });
    assert_eq!(ended.unwrap(), v1::ExecutionStatus::Succeeded);
    assert_eq!(get(&id, long, long).await.unwrap(), v1::ExecutionStatus::Succeeded, "it has ended already");
    assert_eq!(wrong_fields(get(&id, long + short, long).await), ["wait"]);
    let unknown = get("01990000-0000-7000-8000-000000000000", short, long).await;
    refused(unknown, tonic::Code::NotFound, "EXECUTION_NOT_FOUND");
}

#[tokio::test]
async fn readers_that_wait_keep_no_others_from_reading() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let gate = Gate::new();
    model.next(Reply::answer("hi").held(&gate));
    let id = submit(&ledger, spec("greet", &[])).await;
    model.wait_for_calls(1).await;
    let wait = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    // More than the large reads that one key has at once.
    let waiting = futures::future::join_all((0..40).map(|_| {
        let request = v1::GetExecutionRequest { execution_id: id.clone(), wait, ..Default::default() };
        let mut executions = ledger.executions();
        async move { executions.get_execution(request).await.unwrap().into_inner().execution.unwrap().status() }
    }));
    let reading = async {
        for _ in 0..20 {
            ledger.executions().list_executions(v1::ListExecutionsRequest::default()).await.unwrap();
        }
        gate.open();
    };
    let (ended, ()) = tokio::join!(waiting, reading);
    assert!(ended.iter().all(|status| *status == v1::ExecutionStatus::Succeeded), "{ended:?}");
}

#[tokio::test]
async fn an_execution_that_waits_for_a_retry_says_until_when() {
    let model = FakeModel::start().await;
    let ledger = ledger().openai(&model.base_url()).env("RETRY_DELAYS", "1h").start().await;
    ledger.active("greet", "hello").await;
    model.next(Reply::status(503, "{}"));
    let streamed = v1::ExecutionSpec { max_retries: Some(1), stream_text: Some(true), ..spec("greet", &[]) };
    let id = submit(&ledger, streamed).await;
    let requeued = |record: &WatchRecord| record.events.contains(&(3, v1::ExecutionStatus::Queued));
    assert!(WatchRecord::new().read(&mut ledger.watch(&id, 0).await.unwrap(), requeued).await.is_none());
    let request = v1::GetExecutionRequest { execution_id: id, view: 0, ..Default::default() };
    let waiting = ledger.executions().get_execution(request).await.unwrap().into_inner().execution.unwrap();
    assert_eq!((waiting.status(), waiting.attempts, waiting.stream_text), (v1::ExecutionStatus::Queued, 1, true));
    let failed_at = waiting.attempt_log[0].ended_at.unwrap();
    let next_attempt_at = waiting.next_attempt_at.unwrap();
    // An hour, give or take a fifth.
    assert!((2_880..=4_320).contains(&(next_attempt_at.seconds - failed_at.seconds)), "{waiting:?}");
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
    let start = || ledger().openai(&model.base_url()).env("SHUTDOWN_GRACE", "9s").data_dir(folder.path()).start();
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
