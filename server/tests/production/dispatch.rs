//! How workers find queued executions: by a hint through either broker, or by polling once the row is available.

use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::ledger::Ledger;
use prompt_ledger_testkit::services::Redis;
use tokio::time::timeout;

use crate::audit::all_ended_well;
use crate::kit::{Deployment, ended, eventually, greet, lost_hints, submit};

/// Far more than a worker needs after a hint, far less than an hour.
const SOON: Duration = Duration::from_secs(10);

/// A deployment in which only a hint starts an execution.
fn only_by_hint(deployment: Deployment) -> Deployment {
    deployment.with("SWEEP_INTERVAL", "1h").with("REDISPATCH_AFTER", "1h")
}

/// Waits until a server is connected to a broker: a hint that is sent before may be lost.
async fn connected(server: &Ledger, broker: &str) {
    let broker = format!("\"broker\":\"{broker}\"");
    server.process().says(|line| line.contains("\"connected\"") && line.contains(&broker)).await;
}

/// An execution that a hint has started, at its end.
async fn run_by_a_hint(server: &Ledger) -> v1::Execution {
    for _ in 0..3 {
        let id = submit(server, greet()).await;
        if let Ok(done) = timeout(3 * SOON, ended(server, &id)).await {
            return done;
        }
        // A hint that no broker takes in time is lost, and its execution waits for an hour.
        assert!(lost_hints(server), "the hint was sent, and nobody ran {id}: {:#?}", server.output());
    }
    panic!("no hint arrives");
}

#[tokio::test]
async fn a_worker_is_woken_by_redis_and_with_redis_dead_by_rabbitmq() {
    let shared = Deployment::new().await.without_broker();
    let mut redis = Redis::start().await;
    let deployment = only_by_hint(shared.with("REDIS_URL", &redis.url()));
    let (server, _worker) = deployment.pair().await;
    connected(&server, "redis").await;
    connected(&server, "rabbitmq").await;
    let first = run_by_a_hint(&server).await;
    redis.kill();
    // The first hint that meets the dead broker is retried once on the other.
    let second = run_by_a_hint(&server).await;
    assert_eq!(second.status(), v1::ExecutionStatus::Succeeded);
    all_ended_well(&deployment, &server, &[first.execution_id, second.execution_id]).await;
}

#[tokio::test]
async fn without_rabbitmq_redis_alone_is_enough_and_the_other_way_round() {
    for (without, broker) in [("AMQP_URL", "redis"), ("REDIS_URL", "rabbitmq")] {
        let deployment = only_by_hint(Deployment::new().await.with(without, ""));
        let (server, _worker) = deployment.pair().await;
        connected(&server, broker).await;
        run_by_a_hint(&server).await;
    }
}

#[tokio::test]
async fn with_both_brokers_down_submits_succeed_and_run_when_their_time_comes() {
    let deployment = Deployment::new()
        .await
        .without_broker()
        .with("REDIS_URL", "redis://127.0.0.1:1")
        .with("AMQP_URL", "amqp://127.0.0.1:1");
    let deployment = deployment.with("SWEEP_INTERVAL", "100ms").with("REDISPATCH_AFTER", "300ms");
    let (server, _worker) = deployment.pair().await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(submit(&server, greet()).await);
    }
    all_ended_well(&deployment, &server, &ids).await;
    assert_eq!(deployment.model.calls(), 20);
}

#[tokio::test]
async fn a_flood_is_shared_by_two_workers_and_every_execution_runs_once() {
    let deployment = Deployment::new().await;
    let ((server, one), two) = (deployment.pair().await, deployment.worker().await);
    let submits = (0..300).map(|_| {
        let mut client = server.executions();
        async move { client.submit_execution(crate::kit::request(greet())).await.unwrap().into_inner().execution_id }
    });
    let ids = futures::future::join_all(submits).await;
    all_ended_well(&deployment, &server, &ids).await;
    assert_eq!(deployment.model.calls(), 300, "one call each");
    eventually("both workers to have run some", || async {
        ended(&server, &submit(&server, greet()).await).await;
        let workers = deployment.sql("SELECT count(DISTINCT worker) FROM execution_attempts");
        workers.trim() == "2"
    })
    .await;
    drop((one, two));
}

#[tokio::test]
async fn a_worker_that_is_asked_to_end_hands_back_what_it_has() {
    let deployment = Deployment::new().await.without_holder().with("SHUTDOWN_GRACE", "9s");
    let (server, worker) = deployment.pair().await;
    deployment.model.next(prompt_ledger_testkit::fake_model::Reply::hang());
    let id = submit(&server, v1::ExecutionSpec { max_retries: Some(0), ..greet() }).await;
    deployment.model.wait_for_calls(1).await;
    let gone = worker.terminate().await;
    // Within its grace, with time to spare for a busy machine.
    assert!(gone.status.success() && gone.took < Duration::from_secs(29), "{gone:?}");
    let _another = deployment.worker().await;
    let done = ended(&server, &id).await;
    assert_eq!((done.status(), done.attempts), (v1::ExecutionStatus::Succeeded, 2), "a hand-back is no retry");
    assert_eq!(done.attempt_log[0].error_type, "interrupted");
    all_ended_well(&deployment, &server, &[id]).await;
}

/// Hints that no worker reads are gone after twice REDISPATCH_AFTER.
#[tokio::test]
async fn executions_whose_hints_are_gone_run_all_the_same() {
    let deployment =
        Deployment::new().await.without_worker().with("SWEEP_INTERVAL", "100ms").with("REDISPATCH_AFTER", "200ms");
    let server = deployment.server().await;
    server.active("greet", "hello").await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(submit(&server, greet()).await);
    }
    eventually("the hints to be too old", || async {
        deployment.sql("SELECT max(available_at) < clock_timestamp() - interval '400 ms' FROM executions").trim() == "t"
    })
    .await;
    let _worker = deployment.worker().await;
    all_ended_well(&deployment, &server, &ids).await;
    assert_eq!(deployment.model.calls(), 20);
}
