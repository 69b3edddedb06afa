//! One idempotency key, one execution.

use std::collections::BTreeSet;
use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{Gate, Reply};
use prompt_ledger_testkit::ledger::{Ledger, spec};
use prompt_ledger_testkit::watch_record::WatchRecord;
use tonic::{Code, Request};

use super::{ledger_with_model, refused};

fn keyed(key: &str) -> v1::ExecutionSpec {
    v1::ExecutionSpec { idempotency_key: key.into(), ..spec("greet", &[]) }
}

async fn run(ledger: &Ledger, spec: v1::ExecutionSpec) -> v1::RunExecutionResponse {
    let request = v1::RunExecutionRequest { spec: Some(spec) };
    ledger.executions().run_execution(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn the_same_request_gets_the_same_execution() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let first = run(&ledger, keyed("k")).await;
    let correlated = v1::ExecutionSpec {
        correlation_id: "other".into(),
        timeout: Some(prost_types::Duration { seconds: 9, nanos: 0 }),
        // Beyond the project's revision: the key is looked up before that is checked.
        min_revision: Some(i64::MAX),
        ..keyed("k")
    };
    let second = run(&ledger, correlated).await;
    assert_eq!((first.reused, second.reused), (false, true));
    assert_eq!(first.execution, second.execution);
    assert_eq!(model.calls(), 1);
}

#[tokio::test]
async fn another_request_with_the_key_is_refused_with_the_executions_id() {
    let (ledger, _model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let id = run(&ledger, keyed("k")).await.execution.unwrap().execution_id;
    let other = v1::RunExecutionRequest { spec: Some(v1::ExecutionSpec { environment: "prod".into(), ..keyed("k") }) };
    let info = refused(ledger.executions().run_execution(other).await, Code::AlreadyExists, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(info.metadata["execution_id"], id);
}

#[tokio::test]
async fn the_key_is_looked_up_before_version_variables_and_limits() {
    let (ledger, _model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let id = run(&ledger, keyed("k")).await.execution.unwrap().execution_id;
    ledger.active("greet", "hello {{name}}").await;
    let archive = v1::ArchivePromptRequest { name: "greet".into(), etag: None, ..v1::ArchivePromptRequest::default() };
    ledger.registry().archive_prompt(archive).await.unwrap();
    let again = run(&ledger, keyed("k")).await;
    assert_eq!((again.reused, again.execution.unwrap().execution_id), (true, id));
}

#[tokio::test]
async fn a_failed_execution_is_returned_as_it_is() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    model.next(Reply::status(500, "{}"));
    let first = run(&ledger, keyed("k")).await;
    let second = run(&ledger, keyed("k")).await;
    assert_eq!(second.execution.as_ref().unwrap().status(), v1::ExecutionStatus::Failed);
    assert_eq!((first.execution, second.reused), (second.execution, true));
}

fn retried(key: &str) -> v1::ExecutionSpec {
    v1::ExecutionSpec { retry_failed: true, ..keyed(key) }
}

/// The id, the execution that it repeats, and the status.
fn state(execution: &v1::Execution) -> (&str, &str, v1::ExecutionStatus) {
    (&execution.execution_id, &execution.retry_of, execution.status())
}

#[tokio::test]
async fn a_failed_execution_is_repeated_where_that_is_asked_for() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let ran = async |spec| {
        let ran = run(&ledger, spec).await;
        (ran.execution.unwrap(), ran.reused)
    };
    model.next(Reply::status(500, "{}"));
    // Where there is none to repeat, it is an execution like any other.
    let (first, reused) = ran(retried("k")).await;
    assert_eq!((state(&first).1, state(&first).2, reused), ("", v1::ExecutionStatus::Failed, false));
    let (same, reused) = ran(keyed("k")).await;
    assert_eq!((state(&same), reused), (state(&first), true));

    model.next(Reply::status(500, "{}"));
    let (second, reused) = ran(retried("k")).await;
    assert_eq!(
        (state(&second).1, state(&second).2, reused),
        (&*first.execution_id, v1::ExecutionStatus::Failed, false)
    );
    assert_eq!(&*second.idempotency_key, "k");
    let (same, reused) = ran(keyed("k")).await;
    assert_eq!((state(&same), reused), (state(&second), true), "the key is the new one's");
    let get = v1::GetExecutionRequest { execution_id: first.execution_id.clone(), view: 0, wait: None };
    let old = ledger.executions().get_execution(get).await.unwrap().into_inner().execution.unwrap();
    assert_eq!(v1::Execution { idempotency_key: "k".into(), ..old.clone() }, first);
    assert_eq!(old.idempotency_key, "");

    let (third, _) = ran(retried("k")).await;
    assert_eq!((state(&third).1, state(&third).2), (&*second.execution_id, v1::ExecutionStatus::Succeeded));
    // What succeeded is answered as it is; another request is refused still.
    let (same, reused) = ran(retried("k")).await;
    assert_eq!((state(&same), reused, model.calls()), (state(&third), true, 3));
    let other =
        v1::RunExecutionRequest { spec: Some(v1::ExecutionSpec { environment: "prod".into(), ..retried("k") }) };
    refused(ledger.executions().run_execution(other).await, Code::AlreadyExists, "IDEMPOTENCY_KEY_REUSED");
}

#[tokio::test]
async fn a_failed_execution_is_repeated_streamed_and_queued() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    model.next(Reply::status(400, "{}"));
    let failed = run(&ledger, keyed("k")).await.execution.unwrap();
    model.next(Reply::status(400, "{}"));
    let mut stream = ledger.stream(retried("k")).await;
    let record = WatchRecord::whole(&mut stream).await;
    let streamed = record.ended.unwrap();
    assert_eq!((state(&streamed).1, state(&streamed).2), (&*failed.execution_id, v1::ExecutionStatus::Failed));
    let submit = async |spec| {
        let request = v1::SubmitExecutionRequest { spec: Some(spec) };
        ledger.executions().submit_execution(request).await.unwrap().into_inner()
    };
    let queued = submit(retried("k")).await;
    assert!(!queued.reused && queued.execution_id != streamed.execution_id);
    let record = WatchRecord::whole(&mut ledger.watch(&queued.execution_id, 0).await.unwrap()).await;
    let ended = record.ended.unwrap();
    assert_eq!((state(&ended).1, state(&ended).2), (&*streamed.execution_id, v1::ExecutionStatus::Succeeded));
    assert_eq!(
        submit(retried("k")).await,
        v1::SubmitExecutionResponse {
            execution_id: queued.execution_id,
            status: v1::ExecutionStatus::Succeeded.into(),
            reused: true,
            prompt_name: ended.prompt_name,
            version_number: 1,
            created_at: ended.created_at,
        }
    );

    // What was canceled is not repeated: someone wanted it not to run.
    let gate = Gate::new();
    model.next(Reply::answer("late").held(&gate));
    let canceled = submit(keyed("c")).await.execution_id;
    let cancel = v1::CancelExecutionRequest { execution_id: canceled.clone(), reason: String::new() };
    ledger.executions().cancel_execution(cancel).await.unwrap();
    WatchRecord::whole(&mut ledger.watch(&canceled, 0).await.unwrap()).await;
    let again = submit(retried("c")).await;
    assert_eq!((again.execution_id, again.reused), (canceled, true));
}

#[tokio::test]
async fn a_repeat_is_resolved_as_of_now() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    model.next(Reply::status(500, "{}"));
    let first = run(&ledger, keyed("k")).await.execution.unwrap();
    ledger.active("greet", "good day").await;
    let second = run(&ledger, retried("k")).await.execution.unwrap();
    assert_eq!((first.version_number, second.version_number), (1, 2));
    assert_eq!((&*second.retry_of, &*second.response_text), (&*first.execution_id, "good day"));
}

#[tokio::test]
async fn thirty_two_racing_callers_repeat_once() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    model.next(Reply::status(500, "{}"));
    let first = run(&ledger, keyed("k")).await.execution.unwrap().execution_id;
    let gate = Gate::new();
    model.otherwise(Reply::echo().held(&gate));
    let callers = (0..32).map(|_| run(&ledger, retried("k")));
    let open = async {
        model.wait_for_calls(2).await;
        gate.open();
    };
    let (answers, ()) = futures::join!(futures::future::join_all(callers), open);
    let ids: BTreeSet<_> = answers.iter().map(|ran| state(ran.execution.as_ref().unwrap())).collect();
    assert_eq!((ids.len(), model.calls()), (1, 2), "{ids:?}");
    assert_eq!(ids.first().unwrap().1, first);
    assert_eq!(answers.iter().filter(|ran| !ran.reused).count(), 1);
}

#[tokio::test]
async fn thirty_two_racing_callers_get_one_execution() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let gate = Gate::new();
    model.otherwise(Reply::echo().held(&gate));
    let callers = (0..32).map(|_| run(&ledger, keyed("k")));
    let open = async {
        model.wait_for_calls(1).await;
        gate.open();
    };
    let (answers, ()) = futures::join!(futures::future::join_all(callers), open);
    let ids: BTreeSet<_> = answers.iter().map(|ran| &ran.execution.as_ref().unwrap().execution_id).collect();
    assert_eq!((ids.len(), model.calls()), (1, 1));
    assert_eq!(answers.iter().filter(|ran| !ran.reused).count(), 1);
    assert!(answers.iter().all(|ran| ran.execution.as_ref().unwrap().status() == v1::ExecutionStatus::Succeeded));
}

#[tokio::test]
async fn with_a_key_a_deadline_ends_the_call_and_not_the_execution() {
    let (ledger, model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let gate = Gate::new();
    model.next(Reply::answer("late").held(&gate));
    let mut request = Request::new(v1::RunExecutionRequest { spec: Some(keyed("k")) });
    request.set_timeout(Duration::from_secs(5));
    let mut executions = ledger.executions();
    let status = executions.run_execution(request).await.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
    gate.open();
    let found = run(&ledger, keyed("k")).await;
    assert_eq!((found.reused, &*found.execution.unwrap().response_text), (true, "late"));
    assert_eq!(model.calls(), 1);
}
