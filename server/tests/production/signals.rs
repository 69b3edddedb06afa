//! SIGHUP ends neither a server nor a worker.

use crate::kit::{Deployment, ended, eventually, greet, submit};

#[tokio::test]
async fn sighup_is_answered_in_the_log_and_both_go_on() {
    let deployment = Deployment::new().await;
    let (server, worker) = deployment.pair().await;
    server.signal("HUP");
    worker.signal("HUP");
    let heard = |output: Vec<String>| output.iter().any(|line| line.contains("SIGHUP"));
    eventually("both to answer", async || heard(server.output()) && heard(worker.output())).await;
    let id = submit(&server, greet()).await;
    ended(&server, &id).await;
    assert!(worker.terminate().await.status.success());
}
