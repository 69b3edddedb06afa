//! Leases: extended while the holder lives, given up when they are lost.

use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_domain::execution::Status;
use prompt_ledger_domain::ids::{ClaimId, ExecutionId};
use prompt_ledger_engine::Heartbeat;
use prompt_ledger_runtime::{new_id, thread};
use prompt_ledger_store::{Access, ExecutionReader, ExecutionWriter, Fence, Holder, Maintenance, Store};
use prompt_ledger_store_postgres::{Postgres, PostgresOptions, migrate_up};
use prompt_ledger_testkit::fake_model::{Gate, Reply};
use prompt_ledger_testkit::{poll, services};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::kit::{Kit, an_execution};

const SHORT: Duration = Duration::from_millis(300);
/// A lease that is kept on a busy machine: two thirds of it are longer than that stands still.
const KEPT: Duration = Duration::from_secs(8);
/// Between two questions.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// An upper bound: what is waited for comes much sooner, or never.
const WAIT_LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_holder_that_lives_keeps_its_execution_beyond_the_first_lease() {
    let kit = Kit::new(KEPT, &[]).await;
    let gate = Gate::new();
    kit.model.next(Reply::answer("late").held(&gate));
    let (job, bounds) = kit.recorded(0).await;
    let (id, recorded) = (job.fence.id, Instant::now());
    let runner = kit.runner.clone();
    let running = tokio::spawn(async move { runner.run(job, bounds).await });
    let mut ask = tokio::time::interval(ASK_EVERY);
    while recorded.elapsed() < KEPT * 3 / 2 {
        ask.tick().await;
        assert_eq!(kit.store.expire(Duration::ZERO).await.unwrap(), [], "the lease ran out under a living holder");
    }
    gate.open();
    running.await.unwrap().unwrap();
    assert_eq!(kit.get(id).await.status, Status::Succeeded);
}

#[tokio::test]
async fn a_lease_that_the_store_does_not_know_is_lost() {
    let kit = Kit::new(SHORT, &[]).await;
    let lease = kit.runner.heartbeat.hold(Fence { id: ExecutionId(new_id()), attempt: 1 }, Instant::now());
    lease.lost.cancelled().await;
}

#[tokio::test]
async fn a_lease_ends_by_the_holders_own_clock_when_the_store_is_away() {
    let kit = Kit::new(SHORT, &[]).await;
    let (job, bounds) = kit.recorded(0).await;
    kit.store.close().await;
    let lease = kit.runner.heartbeat.hold(Fence { id: job.fence.id, attempt: 1 }, bounds.sent);
    lease.lost.cancelled().await;
    assert!(bounds.sent.elapsed() >= SHORT);
}

#[tokio::test]
async fn a_call_under_a_lost_lease_is_aborted() {
    let kit = Kit::new(SHORT, &[]).await;
    kit.model.next(Reply::hang());
    let (job, bounds) = kit.recorded(0).await;
    // The holder stops its heartbeats.
    kit.stop.cancel();
    let runner = kit.runner.clone();
    let id = job.fence.id;
    // Its own clock does not end the lease: only the store's does.
    let stopped = Heartbeat::new(kit.store.clone(), Duration::from_secs(3_600));
    let runner = prompt_ledger_engine::Runner { heartbeat: stopped, ..runner };
    let running = tokio::spawn(async move { runner.run(job, bounds).await });
    kit.model.wait_for_calls(1).await;
    poll::eventually("the lease to run out", WAIT_LIMIT, async || {
        match kit.store.expire(Duration::ZERO).await.unwrap() {
            changes if changes.is_empty() => Err("not yet"),
            changes => Ok(changes),
        }
    })
    .await;
    let found = kit.store.get(kit.project, id).await.unwrap();
    assert_eq!((found.status, <&str>::from(found.failure.unwrap().error_type)), (Status::Failed, "interrupted"));
    running.abort();
    kit.model.wait_for_aborts(1).await;
}

#[tokio::test]
async fn leases_are_kept_in_the_store_while_every_thread_of_the_main_runtime_is_busy() {
    let database = services::database();
    migrate_up(database.url()).await.unwrap();
    let store = Arc::new(Postgres::open(database.url(), PostgresOptions::default()).await.unwrap());
    let (heartbeat, stop) = (Heartbeat::new(store.clone(), KEPT), CancellationToken::new());
    let ended = thread::spawn("heartbeats", heartbeat.clone().run(stop.clone())).unwrap();
    let project = store.project("default").await.unwrap().unwrap().id;
    let new = an_execution(&*store, project, 0).await;
    let (fence, sent) = (Fence { id: new.id, attempt: 1 }, Instant::now());
    let holder = Holder { worker: "test".into(), claim_id: ClaimId(new_id()), lease: KEPT };
    store.start(new, holder).await.unwrap();
    let lease = heartbeat.hold(fence, sent);
    // Blocks the only thread of this runtime.
    std::thread::sleep(KEPT * 3 / 2);
    let kept = services::sql(database.url(), "SELECT lease_until > clock_timestamp() FROM executions");
    assert_eq!((kept.trim(), lease.lost.is_cancelled()), ("t", false));
    stop.cancel();
    ended.await;
}
