//! A server that is killed: what it acknowledged stays, what it was running is closed.

use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use prompt_ledger_testkit::ledger::spec;
use prompt_ledger_testkit::poll;

use super::{ledger, lists};

#[tokio::test]
async fn a_crashed_servers_executions_are_closed_as_interrupted_and_the_rest_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    let start = || {
        ledger()
            .expects("its holder went away")
            .expects("execution ended")
            .openai(&model.base_url())
            .env("LEASE", "5s")
            .data_dir(folder.path())
            .start()
    };
    let before = start().await;
    before.active("greet", "hello").await;
    let done = before.run(spec("greet", &[])).await;
    model.next(Reply::hang());
    let mut executions = before.executions();
    let run = v1::RunExecutionRequest { spec: Some(spec("greet", &[])) };
    let hanging = tokio::spawn(async move { executions.run_execution(run).await });
    model.wait_for_calls(2).await;
    before.kill().await;
    assert!(hanging.await.unwrap().is_err());

    let after = start().await;
    let interrupted = lists::first_with(&after, v1::ExecutionStatus::Failed).await;
    assert_eq!((&*interrupted.error_type, interrupted.attempts), ("interrupted", 1));
    assert_eq!(model.calls(), 2, "a sync execution is never dispatched again");
    let parts = ["execution ended", "interrupted", "greet", &interrupted.execution_id, r#""level":"WARN""#];
    let is_it = |line: &String| parts.iter().all(|part| line.contains(part));
    let said = async || after.output().iter().any(is_it).then_some(()).ok_or_else(|| after.output());
    poll::eventually("the line of the end", Duration::from_secs(60), said).await;
    let request = v1::GetExecutionRequest { execution_id: done.execution_id.clone(), ..Default::default() };
    assert_eq!(after.executions().get_execution(request).await.unwrap().into_inner().execution, Some(done));
}
