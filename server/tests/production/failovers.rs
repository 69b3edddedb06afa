//! Outages of Postgres that pass: a failover, a database that turns read-only or refuses logins, one that hangs for
//! longer than a lease. Callers get STORE_UNAVAILABLE, health says NOT_SERVING, processes recover by themselves, and
//! what a model answered meanwhile is recorded once and paid once.

use std::time::{Duration, Instant};

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{Gate, Reply};
use prompt_ledger_testkit::ledger::Ledger;
use prompt_ledger_testkit::process::Process;
use prompt_ledger_testkit::services::{self, Database, Postgres, Proxy};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_types::StatusExt as _;

use crate::audit::{Findings, audit};
use crate::kit::{Deployment, ended, eventually, get, greet, request, submit};
use crate::outages::{health, watch_health};

const LEASE: Duration = Duration::from_secs(8);
/// Longer than the leases.
const OUTAGE: Duration = Duration::from_secs(10);
/// Upper bounds on the time until submits are acknowledged again: after a standby was promoted, and after any other
/// outage.
const SWITCHED_BY: Duration = Duration::from_secs(20);
const BACK_BY: Duration = Duration::from_secs(20);
/// SHUTDOWN_GRACE, with time to spare for a busy machine.
const GRACE: Duration = Duration::from_secs(30);
/// Calls that finish during an outage.
const CALLS: usize = 8;

/// A server and a worker, with provider calls that a gate holds back.
struct Held {
    deployment: Deployment,
    server: Ledger,
    worker: Process,
    gate: Gate,
    /// The executions whose calls are held back.
    ids: Vec<String>,
}

impl Held {
    /// On this database; half of the executions may be tried only once.
    async fn on(database_url: &str) -> Self {
        let (redis, amqp) = (services::redis_url(), services::amqp_url());
        let deployment = Deployment::on(database_url, Some(&redis), Some(&amqp)).await;
        let lease = format!("{}s", LEASE.as_secs());
        let deployment = deployment
            .without_database()
            .without_holder()
            .expects("lost: how this attempt ended")
            .with("LEASE", &lease)
            .with("REDISPATCH_AFTER", "500ms");
        let (server, worker) = deployment.pair().await;
        let gate = Gate::new();
        deployment.model.otherwise(Reply::echo().held(&gate));
        let mut ids = Vec::new();
        for max_retries in (0..CALLS).map(|n| if n % 2 == 0 { 0 } else { 3 }) {
            ids.push(submit(&server, v1::ExecutionSpec { max_retries: Some(max_retries), ..greet() }).await);
        }
        deployment.model.wait_for_calls(CALLS).await;
        Self { deployment, server, worker, gate, ids }
    }

    /// During the outage: a submit is refused with STORE_UNAVAILABLE, and health says NOT_SERVING. Returns once all
    /// leases have run out.
    async fn is_told(&self) {
        let begun = tokio::time::Instant::now();
        eventually("submits to be refused", || async { reason(&self.server).await.is_some() }).await;
        eventually("health to say so", || async { health(&self.server).await == ServingStatus::NotServing }).await;
        assert_eq!(reason(&self.server).await.as_deref(), Some("STORE_UNAVAILABLE"));
        tokio::time::sleep_until(begun + OUTAGE).await;
    }

    /// After the outage began: lets all provider calls end, before their leases do. Their results cannot be written.
    async fn answers_come(&self) {
        self.gate.open();
        self.deployment.model.wait_until_idle().await;
    }

    /// After the outage: returns how long it took until a submit was acknowledged. Every result of a model is
    /// recorded, in the attempt that it was received in.
    #[allow(clippy::print_stdout, reason = "how long it took is the test's figure")]
    async fn recovers(&self, what: &str) -> Duration {
        let back = Instant::now();
        eventually("submits to be taken again", || async {
            let mut client = self.server.executions();
            client.submit_execution(request(greet())).await.is_ok()
        })
        .await;
        let acknowledged = back.elapsed();
        eventually("health to say so", || async { health(&self.server).await == ServingStatus::Serving }).await;
        let serving = back.elapsed();
        for id in &self.ids {
            let done = ended(&self.server, id).await;
            assert_eq!((done.status(), done.attempts), (v1::ExecutionStatus::Succeeded, 1), "{what}: {done:?}");
        }
        println!(
            "{what}: acknowledged after {acknowledged:?}, SERVING after {serving:?}, all ended {:?}",
            back.elapsed()
        );
        acknowledged
    }

    /// No execution was paid twice, and the events of every one are complete, including those whose submit was
    /// answered with an error.
    async fn is_sound(&self) {
        let count =
            |what: &str| self.deployment.sql(&format!("SELECT count({what}) FROM executions")).trim().to_owned();
        eventually("all to end", || async { count("*") == count("completed_at") }).await;
        assert_eq!(audit(&self.deployment, &self.ids), Findings::default());
        assert_eq!(count("*"), self.deployment.model.calls().to_string(), "an execution was paid twice");
    }
}

/// The reason of a submit's refusal; absent where it is accepted.
async fn reason(server: &Ledger) -> Option<String> {
    let refused = server.executions().submit_execution(request(greet())).await.err()?;
    Some(refused.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default())
}

// On two threads, so that the proxy goes on while a command is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_promoted_behind_a_switched_proxy_is_written_to_within_seconds() {
    let mut first = Postgres::start().await;
    let database = services::database_on(&first.url());
    let second = first.standby().await;
    let proxy = Proxy::to(&first.url()).await;
    let held = Held::on(&proxy.url(database.url())).await;

    // A planned switchover: the old primary shuts down in order, so that the new one lacks nothing that was
    // acknowledged, and comes back as a standby. New connections lead to it until the proxy is switched, and those
    // that exist stay there.
    first.begin_stop().await;
    held.answers_come().await;
    first.stop();
    second.promote();
    first.restart_as_standby_of(&second).await;
    held.is_told().await;
    proxy.switch(&second.url());
    let acknowledged = held.recovers("standby promoted").await;
    assert!(acknowledged < SWITCHED_BY, "{acknowledged:?}");
    held.is_sound().await;
    forget(database);
}

#[tokio::test]
async fn a_database_that_turns_read_only_under_open_connections_is_an_outage_that_passes() {
    let postgres = Postgres::start().await;
    let database = services::database_on(&postgres.url());
    let held = Held::on(database.url()).await;
    let admin = format!("{}?options=-c%20default_transaction_read_only%3Doff", postgres.url());
    let set = |to: &str| {
        services::sql(&admin, &format!("ALTER SYSTEM SET default_transaction_read_only = {to}"));
        services::sql(&admin, "SELECT pg_reload_conf()");
    };
    set("on");
    held.answers_come().await;
    held.is_told().await;
    set("off");
    let acknowledged = held.recovers("read-only").await;
    assert!(acknowledged < BACK_BY, "{acknowledged:?}");
    held.is_sound().await;
}

#[tokio::test]
async fn a_database_that_refuses_logins_for_a_while_is_an_outage_that_passes() {
    let postgres = Postgres::start().await;
    services::sql(&postgres.url(), "CREATE ROLE ledger LOGIN SUPERUSER");
    let database = services::database_on(&postgres.url());
    let held = Held::on(&database.url().replace("postgres@", "ledger@")).await;
    services::sql(&postgres.url(), "ALTER ROLE ledger NOLOGIN");
    let sent_away = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'ledger'";
    services::sql(&postgres.url(), sent_away);
    held.answers_come().await;
    held.is_told().await;
    services::sql(&postgres.url(), "ALTER ROLE ledger LOGIN");
    let acknowledged = held.recovers("logins refused").await;
    assert!(acknowledged < BACK_BY, "{acknowledged:?}");
    held.is_sound().await;
}

#[tokio::test]
async fn answers_that_come_while_the_database_hangs_for_longer_than_a_lease_are_recorded_once() {
    let postgres = Postgres::start().await;
    let database = services::database_on(&postgres.url());
    let held = Held::on(database.url()).await;
    postgres.pause();
    held.answers_come().await;
    held.is_told().await;
    postgres.resume();
    let acknowledged = held.recovers("frozen").await;
    assert!(acknowledged < BACK_BY, "{acknowledged:?}");
    held.is_sound().await;
}

/// The result of an inline call is not lost either, whether its caller still waits or not.
#[tokio::test]
async fn a_callers_own_answer_is_recorded_although_the_database_hangs_for_longer_than_a_lease() {
    let postgres = Postgres::start().await;
    let database = services::database_on(&postgres.url());
    let held = Held::on(database.url()).await;
    let spec = |correlation_id: &str| v1::ExecutionSpec { correlation_id: correlation_id.into(), ..greet() };
    let run = |spec, patience: Option<Duration>| {
        let mut client = held.server.executions();
        let mut request = tonic::Request::new(v1::RunExecutionRequest { spec: Some(spec) });
        if let Some(patience) = patience {
            request.set_timeout(patience);
        }
        tokio::spawn(async move { client.run_execution(request).await })
    };
    let waiting = run(spec("waits"), None);
    held.deployment.model.wait_for_calls(CALLS + 1).await;
    let keyed = v1::ExecutionSpec { idempotency_key: "once".into(), ..spec("leaves") };
    let leaving = run(keyed, Some(Duration::from_secs(5)));
    held.deployment.model.wait_for_calls(CALLS + 2).await;
    postgres.pause();
    held.answers_come().await;
    held.is_told().await;
    // Ended by the client's own timer, or by the server's.
    let code = leaving.await.unwrap().unwrap_err().code();
    assert!(matches!(code, tonic::Code::DeadlineExceeded | tonic::Code::Cancelled), "{code:?}");
    postgres.resume();
    let answered = waiting.await.unwrap().unwrap().into_inner().execution.unwrap();
    assert_eq!((answered.status(), &*answered.response_text), (v1::ExecutionStatus::Succeeded, "hello"));
    let left = held.deployment.sql("SELECT id FROM executions WHERE correlation_id = 'leaves'");
    let left = ended(&held.server, left.trim()).await;
    assert_eq!((left.status(), &*left.response_text), (v1::ExecutionStatus::Succeeded, "hello"));
    for id in &held.ids {
        ended(&held.server, id).await;
    }
    assert_eq!(get(&held.server, &answered.execution_id).await.attempts, 1);
    held.is_sound().await;
}

#[tokio::test]
async fn answers_that_cannot_be_recorded_before_a_shutdown_ends_are_logged_by_their_ids() {
    let postgres = Postgres::start().await;
    let database = services::database_on(&postgres.url());
    let held = Held::on(database.url()).await;
    postgres.pause();
    held.answers_come().await;
    let Held { worker, server, ids, .. } = held;
    let gone = worker.terminate().await;
    postgres.resume();
    assert!(gone.status.success() && gone.took < GRACE, "{gone:?}");
    for id in ids {
        let said = |line: &&String| line.contains("\"ERROR\"") && line.contains("lost") && line.contains(&id);
        assert!(gone.output.iter().any(|line| said(&line)), "{id}: {gone:?}");
    }
    assert!(!gone.output.iter().any(|line| line.contains("hello")), "{gone:?}");
    drop(server);
}

/// A result that waits to be written keeps its place: a worker with one place begins no other call meanwhile.
#[tokio::test]
async fn a_worker_takes_no_more_than_it_has_places_while_answers_wait_to_be_written() {
    let deployment =
        Deployment::new().await.without_database().with("WORKER_CONCURRENCY", "1").with("SWEEP_INTERVAL", "200ms");
    let (server, _worker) = deployment.pair().await;
    // Claims and heartbeats succeed, the writing of ends fails: as on a disk that is full.
    deployment.sql(
        "CREATE SEQUENCE refusals;
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM nextval('refusals'); RAISE 'no space left' USING ERRCODE = '53100'; END $$;
         CREATE TRIGGER refuse BEFORE UPDATE ON executions FOR EACH ROW WHEN (NEW.completed_at IS NOT NULL)
             EXECUTE FUNCTION refuse()",
    );
    let ids = [submit(&server, greet()).await, submit(&server, greet()).await];
    deployment.model.wait_for_calls(1).await;
    deployment.model.wait_until_idle().await;
    // Each try counts, although it is rolled back; meanwhile the worker polls, and one row is available.
    let refusals = || deployment.sql("SELECT last_value FROM refusals").trim().parse::<u32>().unwrap();
    eventually("the end to be tried several times", || async { refusals() >= 5 }).await;
    assert_eq!(deployment.model.calls(), 1);
    deployment.sql("DROP TRIGGER refuse ON executions");
    for id in ids {
        let done = ended(&server, &id).await;
        assert_eq!((done.status(), done.attempts), (v1::ExecutionStatus::Succeeded, 1), "{done:?}");
    }
    assert_eq!(deployment.model.calls(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_slow_to_connect_to_is_not_held_to_be_down() {
    let database = services::database();
    let proxy = Proxy::to(database.url()).await;
    let deployment = Deployment::on(&proxy.url(database.url()), None, None).await;
    let deployment = deployment.without_database();
    let server = deployment.server().await;
    let mut health = watch_health(&server).await;
    assert_eq!(health.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    // A connection takes at least three round trips, more than a second; a query takes one.
    proxy.delay(Duration::from_millis(170));
    let mut next = async |within: u64| {
        let told = tokio::time::timeout(Duration::from_secs(within), health.message()).await;
        told.ok().map(|told| told.unwrap().unwrap().status())
    };
    // Where the machine pauses in the check behind the one that meets the cut, two have failed in a row: once more.
    for _ in 0..3 {
        proxy.cut();
        // Long enough for a check to meet the cut connection, and for later ones to replace it: any change would be
        // told.
        if next(11).await.is_none() {
            return;
        }
        assert_eq!(next(60).await, Some(ServingStatus::Serving), "it takes writes, slow as it is");
    }
    panic!("a slow database is held to be down");
}

/// Not dropped: its server is a standby by now.
fn forget(database: Database) {
    std::mem::forget(database);
}
