//! Faults under load. After each: nothing acknowledged is lost, nothing ends twice, no provider is called more often
//! than executions were claimed, and no attempt writes without its lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{Gate, Reply};
use prompt_ledger_testkit::ledger::Ledger;
use prompt_ledger_testkit::services::{self, Postgres, Rabbit, Redis};
use tokio::task::JoinHandle;

use crate::audit::{Findings, all_ended_well, audit};
use crate::kit::{Deployment, ended, greet, request, submit, until};

/// Short, so that outages can outlast leases.
const LEASE: &str = "2s";
/// Three leases: how long the store is away.
const OUTAGE: Duration = Duration::from_secs(6);

/// Callers that submit one execution after the other until [`Load::stop`].
struct Load {
    going: Arc<AtomicBool>,
    callers: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn on(server: &Ledger, callers: usize) -> Self {
        let going = Arc::new(AtomicBool::new(true));
        let caller = |_| {
            let (mut client, going) = (server.executions(), Arc::clone(&going));
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                while going.load(Ordering::Relaxed) {
                    match client.submit_execution(request(greet())).await {
                        Ok(answer) => acknowledged.push(answer.into_inner().execution_id),
                        // A submit that was not acknowledged is retried by its caller.
                        Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                acknowledged
            })
        };
        Self { callers: (0..callers).map(caller).collect(), going }
    }

    /// The ids of the executions that were acknowledged.
    async fn stop(self) -> Vec<String> {
        self.going.store(false, Ordering::Relaxed);
        let mut all = Vec::new();
        for caller in self.callers {
            all.extend(caller.await.unwrap());
        }
        all
    }
}

fn quick(deployment: Deployment) -> Deployment {
    let deployment = deployment
        .without_holder()
        .with("LEASE", LEASE)
        .with("REDISPATCH_AFTER", "500ms")
        .with("SWEEP_INTERVAL", "200ms");
    deployment.model.otherwise(Reply::echo().delay(Duration::from_millis(10)));
    deployment.with("RETRY_DELAYS", "50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms")
}

#[tokio::test]
async fn a_worker_that_is_killed_loses_nothing() {
    let deployment = quick(Deployment::new().await);
    let ((server, first), _second) = (deployment.pair().await, deployment.worker().await);
    let load = Load::on(&server, 8);
    deployment.model.wait_for_calls(100).await;
    first.kill().await;
    let calls = deployment.model.calls();
    deployment.model.wait_for_calls(calls + 100).await;
    let acknowledged = load.stop().await;
    all_ended_well(&deployment, &server, &acknowledged).await;
}

#[tokio::test]
async fn a_server_that_is_killed_loses_nothing() {
    let deployment = quick(Deployment::new().await);
    let ((first, _worker), second) = (deployment.pair().await, deployment.server().await);
    let (one, two) = (Load::on(&first, 4), Load::on(&second, 4));
    deployment.model.wait_for_calls(100).await;
    first.kill().await;
    let mut acknowledged = one.stop().await;
    let calls = deployment.model.calls();
    deployment.model.wait_for_calls(calls + 50).await;
    acknowledged.extend(two.stop().await);
    all_ended_well(&deployment, &second, &acknowledged).await;
}

#[tokio::test]
async fn a_paused_worker_that_wakes_after_its_lease_touches_nothing() {
    // What it had asked the brokers is too late by then.
    let deployment = quick(Deployment::new().await).without_broker().with("LEASE", "5s");
    let (server, sleeper) = deployment.pair().await;
    let gate = Gate::new();
    deployment.model.next(Reply::echo().held(&gate));
    let id = submit(&server, greet()).await;
    deployment.model.wait_for_calls(1).await;
    sleeper.signal("STOP");
    let _other = deployment.worker().await;
    let done = ended(&server, &id).await;
    assert_eq!((done.status(), done.attempts), (v1::ExecutionStatus::Succeeded, 2));
    // It wakes to an answer.
    gate.open();
    deployment.model.wait_until_idle().await;
    sleeper.signal("CONT");
    // The worker has noticed once it takes new work.
    let next = submit(&server, greet()).await;
    ended(&server, &next).await;
    let gone = sleeper.terminate().await;
    assert!(gone.status.success(), "{gone:?}");
    assert_eq!(ended(&server, &id).await, done);
    assert_eq!(audit(&deployment, &[id, next]), Findings::default());
}

/// Nothing in the worker holds its write back: only the fence does.
#[tokio::test]
async fn a_worker_that_does_not_know_that_it_lost_its_lease_touches_nothing() {
    let deployment = quick(Deployment::new().await).with("LEASE", "5s");
    let server = deployment.server().await;
    let sleeper = deployment.worker_builder().env("LEASE", "1h").env("WORKER_CONCURRENCY", "1").start_worker().await;
    server.active("greet", "hello").await;
    let gate = Gate::new();
    deployment.model.next(Reply::echo().held(&gate));
    let id = submit(&server, greet()).await;
    deployment.model.wait_for_calls(1).await;
    deployment.sql("UPDATE executions SET lease_until = clock_timestamp() - interval '1 second'");
    let _other = deployment.worker().await;
    let done = ended(&server, &id).await;
    assert_eq!((done.status(), done.attempts), (v1::ExecutionStatus::Succeeded, 2));
    gate.open();
    // The worker ends once it has written what it has.
    let gone = sleeper.terminate().await;
    assert_eq!(ended(&server, &id).await, done);
    assert_eq!(audit(&deployment, &[id]), Findings::default());
    assert!(gone.status.success() && gone.output.iter().any(|line| line.contains("ended by another")), "{gone:?}");
}

#[tokio::test]
async fn redis_killed_flushed_and_back_loses_nothing() {
    let mut redis = Redis::start().await;
    let deployment = quick(Deployment::new().await).without_broker().with("REDIS_URL", &redis.url());
    let (server, _worker) = deployment.pair().await;
    let load = Load::on(&server, 8);
    deployment.model.wait_for_calls(50).await;
    redis.flush().await;
    deployment.model.wait_for_calls(150).await;
    redis.kill();
    let calls = deployment.model.calls();
    deployment.model.wait_for_calls(calls + 200).await;
    redis.restart().await;
    let calls = deployment.model.calls();
    deployment.model.wait_for_calls(calls + 100).await;
    redis.pause();
    let calls = deployment.model.calls();
    deployment.model.wait_for_calls(calls + 50).await;
    redis.resume();
    let acknowledged = load.stop().await;
    all_ended_well(&deployment, &server, &acknowledged).await;
}

#[tokio::test]
async fn rabbitmq_killed_and_then_both_brokers_gone_loses_nothing() {
    let (mut redis, mut rabbit) = tokio::join!(Redis::start(), Rabbit::start());
    let deployment =
        quick(Deployment::new().await).without_broker().with("REDIS_URL", &redis.url()).with("AMQP_URL", &rabbit.url());
    let (server, _worker) = deployment.pair().await;
    let load = Load::on(&server, 8);
    deployment.model.wait_for_calls(50).await;
    rabbit.kill();
    let calls = deployment.model.calls();
    deployment.model.wait_for_calls(calls + 50).await;
    redis.kill();
    // Without a broker executions are found by polls.
    let calls = deployment.model.calls();
    deployment.model.wait_for_calls(calls + 200).await;
    tokio::join!(redis.restart(), rabbit.restart());
    let calls = deployment.model.calls();
    deployment.model.wait_for_calls(calls + 100).await;
    let acknowledged = load.stop().await;
    all_ended_well(&deployment, &server, &acknowledged).await;
}

#[tokio::test]
async fn postgres_killed_in_the_middle_of_load_loses_nothing() {
    let mut postgres = Postgres::start().await;
    let database = services::database_on(&postgres.url());
    let (redis, amqp) = (services::redis_url(), services::amqp_url());
    let deployment = quick(Deployment::on(database.url(), Some(&redis), Some(&amqp)).await).without_database();
    let ((server, _one), _two) = (deployment.pair().await, deployment.worker().await);
    let load = Load::on(&server, 8);
    for _ in 0..2 {
        let calls = deployment.model.calls();
        deployment.model.wait_for_calls(calls + 100).await;
        postgres.kill();
        postgres.restart().await;
    }
    let calls = deployment.model.calls();
    deployment.model.wait_for_calls(calls + 50).await;
    postgres.kill();
    tokio::time::sleep(OUTAGE).await;
    postgres.restart().await;
    let calls = deployment.model.calls();
    deployment.model.wait_for_calls(calls + 100).await;
    let acknowledged = load.stop().await;
    all_ended_well(&deployment, &server, &acknowledged).await;
    assert!(!postgres.log().contains("deadlock detected"), "{}", postgres.log());
}

#[tokio::test]
async fn a_poison_execution_ends_failed_with_the_log_of_its_attempts() {
    let deployment = quick(Deployment::new().await).without_worker().with("LEASE", "5s");
    let server = deployment.server().await;
    server.active("greet", "hello").await;
    deployment.model.otherwise(Reply::hang());
    let id = submit(&server, v1::ExecutionSpec { max_retries: Some(1), ..greet() }).await;
    // Each worker that takes the execution is killed by it.
    for attempt in 1..=2 {
        let worker = deployment.worker().await;
        until(&server, &id, |found| found.attempts == attempt && found.status() == v1::ExecutionStatus::Running).await;
        worker.kill().await;
    }
    let failed = ended(&server, &id).await;
    assert_eq!((failed.status(), &*failed.error_type), (v1::ExecutionStatus::Failed, "interrupted"));
    assert_eq!((failed.attempts, failed.attempt_log.len()), (2, 2));
    assert_eq!(audit(&deployment, &[id]), Findings::default());
}
