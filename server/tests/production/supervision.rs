//! A worker whose background task ends early ends with the task's name in its error; another worker runs what it held.

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::Reply;

use crate::kit::{Deployment, ended, greet, submit};

#[tokio::test]
async fn a_worker_whose_heartbeats_die_ends_and_another_one_runs_what_it_held() {
    let deployment = Deployment::new().await.without_worker().without_holder().expects("panicked");
    let server = deployment.server().await;
    server.active("greet", "hello").await;
    let failing = deployment.worker_builder().env("PROMPT_LEDGER_FAIL_TASK", "heartbeats").start_worker().await;
    deployment.model.next(Reply::hang());
    let held = submit(&server, greet()).await;
    deployment.model.wait_for_calls(1).await;
    let _other = deployment.worker().await;

    failing.signal("USR1");
    let failed = failing.ended().await;
    assert_eq!(failed.status.code(), Some(1), "{:#?}", failed.output);
    let said = "prompt-ledger-worker: the background task `heartbeats` panicked; the process ends too";
    assert!(failed.output.iter().any(|line| line == said), "{:#?}", failed.output);
    let execution = ended(&server, &held).await;
    assert_eq!((execution.status(), execution.attempts), (v1::ExecutionStatus::Succeeded, 2));
}
