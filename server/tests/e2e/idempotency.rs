//! One idempotency key, one execution.

use std::collections::BTreeSet;
use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{Gate, Reply};
use prompt_ledger_testkit::ledger::{Ledger, spec};
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
    let archive = v1::ArchivePromptRequest { name: "greet".into(), etag: None };
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
    request.set_timeout(Duration::from_secs(1));
    let mut executions = ledger.executions();
    let status = executions.run_execution(request).await.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
    gate.open();
    let found = run(&ledger, keyed("k")).await;
    assert_eq!((found.reused, &*found.execution.unwrap().response_text), (true, "late"));
    assert_eq!(model.calls(), 1);
}
