//! Postgres refusing logins, a database name or writes: a starting process fails with an explanation, a running one
//! recovers by itself.

use std::time::{Duration, Instant};

use prompt_ledger_domain::cause::chain;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_store::{
    ExecutionFilter, ExecutionReader, ExecutionWriter, Leases, Maintenance, NewExecution, PromptChange, Store,
};
use prompt_ledger_store_postgres::{migrate_down, migrate_up, set_role};
use prompt_ledger_testkit::poll::eventually;
use prompt_ledger_testkit::services::{self, Postgres as Service, Proxy};
use sqlx::Executor as _;

use crate::store::{Fresh, open};
use prompt_ledger_store_conformance::kit::{
    Backend as _, ChangePrompt, an_execution, fence, new_id, reason, start, submit,
};

/// Limit of each wait; what is waited for comes much sooner.
const WAIT_LIMIT: Duration = Duration::from_secs(20);
/// Length of the leases.
const LEASE: Duration = Duration::from_secs(20);

/// Repeats a call until it fails for this reason, or until it succeeds.
async fn until<T: std::fmt::Debug>(
    wanted: Option<Reason>,
    mut call: impl AsyncFnMut() -> prompt_ledger_domain::Result<T>,
) {
    let answered = async || match call().await {
        answer if answer.as_ref().err().map(prompt_ledger_domain::Error::reason) == wanted => Ok(()),
        answer => Err(answer),
    };
    eventually(&format!("{wanted:?}"), WAIT_LIMIT, answered).await;
}

#[tokio::test]
async fn a_process_that_starts_is_told_in_plain_words_why_the_database_refuses_it() {
    let fresh = Fresh::fresh().await;
    let url = fresh.database.url().to_owned();
    let (server, _) = url.rsplit_once('/').unwrap();
    for (url, words) in [
        (url.replace("postgres://postgres@", "postgres://nobody_knows@"), "refuses the login"),
        (format!("{server}/nowhere"), "does not exist"),
    ] {
        for said in [
            open(&url).await.unwrap_err(),
            migrate_up(&url).await.unwrap_err(),
            migrate_down(&url, 9).await.unwrap_err(),
        ] {
            assert!(said.to_string().contains(words), "{said}");
        }
    }
    let name = url.rsplit_once('/').unwrap().1;
    services::sql(&url, &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    let said = open(&url).await.unwrap_err();
    assert!(said.to_string().contains("takes no writes") && said.reason() == Reason::Internal, "{said}");
}

#[tokio::test]
async fn new_connections_that_cannot_write_are_refused_until_they_can() {
    let fresh = Fresh::fresh().await;
    let new = an_execution(&fresh).await;
    start(&fresh, &new).await;
    fresh.store.check_writable().await.unwrap();
    let admin = format!("{}?options=-c%20default_transaction_read_only%3Doff", fresh.database.url());
    let name = fresh.database.url().rsplit_once('/').unwrap().1;
    services::sql(&admin, &format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    services::sql(
        &admin,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE application_name = 'prompt-ledger' AND datname = current_database()",
    );
    let next = NewExecution { id: ExecutionId(new_id()), ..new.clone() };
    assert_eq!(reason(fresh.store.submit(next.clone(), Duration::ZERO).await), Reason::StoreUnavailable);
    assert_eq!(
        reason(fresh.store.get(new.project_id, new.id).await),
        Reason::StoreUnavailable,
        "what it reads is stale"
    );
    assert_eq!(reason(fresh.store.extend(&[fence(new.id, 1)], LEASE).await), Reason::StoreUnavailable);
    assert_eq!(reason(fresh.store.check_writable().await), Reason::StoreUnavailable);
    services::sql(&admin, &format!("ALTER DATABASE {name} RESET default_transaction_read_only"));
    submit(&fresh, &next).await;
    until(None, async || fresh.store.check_writable().await).await;
}

#[tokio::test]
async fn open_connections_are_closed_when_their_database_turns_read_only() {
    let service = Service::start().await;
    let database = services::database_on(&service.url());
    migrate_up(database.url()).await.unwrap();
    let fresh = Fresh { store: open(database.url()).await.unwrap(), database };
    let new = an_execution(&fresh).await;
    start(&fresh, &new).await;
    let admin = format!("{}?options=-c%20default_transaction_read_only%3Doff", service.url());
    let set = |to: &str| {
        services::sql(&admin, &format!("ALTER SYSTEM SET default_transaction_read_only = {to}"));
        services::sql(&admin, "SELECT pg_reload_conf()");
    };
    set("on");
    let next = NewExecution { id: ExecutionId(new_id()), ..new.clone() };
    until(Some(Reason::StoreUnavailable), async || fresh.store.check_writable().await).await;
    assert_eq!(reason(fresh.store.submit(next.clone(), Duration::ZERO).await), Reason::StoreUnavailable);
    // Reads fail too, although their connection was open before.
    assert_eq!(reason(fresh.store.get(new.project_id, new.id).await), Reason::StoreUnavailable);
    set("off");
    until(None, async || fresh.store.submit(next.clone(), Duration::ZERO).await).await;
    until(None, async || fresh.store.check_writable().await).await;
    fresh.store.get(new.project_id, new.id).await.unwrap();
}

#[tokio::test]
async fn a_store_closes_while_its_connections_are_kept_for_their_next_statement() {
    let fresh = Fresh::fresh().await;
    let new = an_execution(&fresh).await;
    start(&fresh, &new).await;
    fresh.store.ping().await.unwrap();
    tokio::time::timeout(WAIT_LIMIT, fresh.store.close()).await.unwrap();
    assert_eq!(reason(fresh.store.ping().await), Reason::StoreUnavailable);
    let next = NewExecution { id: ExecutionId(new_id()), ..new };
    assert_eq!(reason(fresh.store.submit(next, Duration::ZERO).await), Reason::StoreUnavailable);
}

#[tokio::test]
async fn writes_that_fail_while_reads_go_well_are_told_until_one_goes_well() {
    let fresh = Fresh::fresh().await;
    let new = an_execution(&fresh).await;
    start(&fresh, &new).await;
    let execution = async || {
        let next = NewExecution { id: ExecutionId(new_id()), ..new.clone() };
        fresh.store.submit(next, Duration::ZERO).await.is_ok()
    };
    let registry = async || {
        fresh.store.change_prompt(new.project_id, "greet", None, PromptChange::Migrate(Mode::Tracking)).await.is_ok()
    };
    services::sql(
        fresh.database.url(),
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE 'no space left' USING ERRCODE = '53100'; END $$",
    );
    for (table, write) in [("executions", 0), ("prompts", 1)] {
        let write = async || if write == 0 { execution().await } else { registry().await };
        fresh.store.check_writable().await.unwrap();
        let trigger =
            format!("CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()");
        services::sql(fresh.database.url(), &trigger);
        until(Some(Reason::StoreUnavailable), async || {
            assert!(!write().await, "{table}");
            fresh.store.get(new.project_id, new.id).await.unwrap();
            fresh.store.check_writable().await
        })
        .await;
        services::sql(fresh.database.url(), &format!("DROP TRIGGER refuse ON {table}"));
        assert!(write().await, "{table}");
        fresh.store.check_writable().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_are_kept_and_health_is_well_on_a_database_that_is_slow() {
    let fresh = Fresh::fresh().await;
    let new = an_execution(&fresh).await;
    start(&fresh, &new).await;
    let proxy = Proxy::to(fresh.database.url()).await;
    let store = open(&proxy.url(fresh.database.url())).await.unwrap();
    let held = [fence(new.id, 1)];
    // One answer may be late on a busy machine; a connection that was given up for it would never come back.
    let is_well = async || {
        until(None, async || store.extend(&held, LEASE).await.map(|extended| assert_eq!(extended.len(), 1))).await;
        until(None, async || store.check_writable().await).await;
    };
    is_well().await;
    // A round trip takes 0.6 s: longer than the check of an idle connection may. No new connection can be made.
    proxy.delay(Duration::from_millis(300));
    proxy.switch("postgres://127.0.0.1:1/none");
    for _ in 0..2 {
        // Longer than the idle time after which a connection is checked.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        is_well().await;
    }
}

/// The pool gives up a connection that does not answer after three seconds: later than a short lease ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_are_extended_at_once_where_the_connection_for_it_has_died_silently() {
    let fresh = Fresh::fresh().await;
    let new = an_execution(&fresh).await;
    start(&fresh, &new).await;
    let held = [fence(new.id, 1)];
    // The others are for a busy machine.
    let mut quickest = WAIT_LIMIT;
    for _ in 0..3 {
        let proxy = Proxy::to(fresh.database.url()).await;
        let store = open(&proxy.url(fresh.database.url())).await.unwrap();
        until(None, async || store.extend(&held, LEASE).await).await;
        // What is sent meanwhile arrives after the test, and so does all that follows on the same connection.
        proxy.delay(Duration::from_secs(600));
        let unanswered = tokio::time::timeout(Duration::from_millis(300), store.extend(&held, LEASE)).await;
        assert!(unanswered.is_err(), "{unanswered:?}");
        proxy.delay(Duration::ZERO);
        let began = Instant::now();
        until(None, async || store.extend(&held, LEASE).await).await;
        quickest = quickest.min(began.elapsed());
    }
    assert!(quickest < Duration::from_secs(2), "{quickest:?}");
}

#[tokio::test]
async fn lists_that_nobody_waits_for_any_more_run_on_no_more_connections_than_lists_have() {
    let fresh = Fresh::fresh().await;
    let new = an_execution(&fresh).await;
    start(&fresh, &new).await;
    services::sql(
        fresh.database.url(),
        "ALTER TABLE executions RENAME TO kept;
         CREATE VIEW executions AS SELECT * FROM kept WHERE pg_sleep(6)::text IS NOT NULL",
    );
    let (began, mut most) = (Instant::now(), 0);
    let filter = ExecutionFilter::default();
    while began.elapsed() < Duration::from_millis(5_500) {
        let list = || fresh.store.list(new.project_id, &filter, None, 10, false);
        let abandoned = Duration::from_millis(500);
        tokio::join!(tokio::time::timeout(abandoned, list()), tokio::time::timeout(abandoned, list())).0.ok();
        let counted = services::sql(
            fresh.database.url(),
            "SELECT count(*) FROM pg_stat_activity
             WHERE application_name = 'prompt-ledger' AND datname = current_database() AND wait_event = 'PgSleep'",
        );
        most = most.max(counted.trim().parse().unwrap());
    }
    assert_eq!(most, 2, "of lists at once");
}

/// The driver's pool tells only that it timed out.
#[tokio::test]
async fn what_the_database_says_is_told_where_no_connection_can_be_made() {
    let fresh = Fresh::fresh().await;
    let new = an_execution(&fresh).await;
    let role = format!("limited_{:x}", services::unique());
    let url = fresh.database.url().to_owned();
    services::sql(&url, &format!("CREATE ROLE {role} LOGIN SUPERUSER"));
    let of_role = url.replace("postgres://postgres@", &format!("postgres://{role}@"));
    set_role(&of_role).await.unwrap();
    let store = open(&of_role).await.unwrap();
    // A limit does not hold for a superuser, who could create the schema's types.
    services::sql(
        &url,
        &format!(
            "ALTER ROLE {role} NOSUPERUSER CONNECTION LIMIT 0; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"
        ),
    );
    services::sql(
        &url,
        &format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{role}'"),
    );
    let submitted = async || {
        let next = NewExecution { id: ExecutionId(new_id()), ..new.clone() };
        store.submit(next, Duration::ZERO).await
    };
    let told = async || match submitted().await {
        Err(error) if chain(&error).contains("too many connections for role") => Ok(error),
        other => Err(other),
    };
    let error = eventually("the cause", WAIT_LIMIT, told).await;
    assert_eq!(error.reason(), Reason::StoreUnavailable);
    services::sql(&url, &format!("ALTER ROLE {role} CONNECTION LIMIT -1"));
    until(None, submitted).await;
    store.close().await;
    services::sql(&url, &format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[tokio::test]
async fn a_wait_for_a_lock_that_is_too_long_is_told() {
    let fresh = Fresh::fresh().await;
    let new = an_execution(&fresh).await;
    let mut locker = fresh.connection().await;
    locker.execute("BEGIN; LOCK TABLE executions IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let error = fresh.store.submit(new.clone(), Duration::ZERO).await.unwrap_err();
    assert!(chain(&error).contains("canceling statement due to lock timeout"), "{}", chain(&error));
    locker.execute("ROLLBACK").await.unwrap();
    fresh.store.submit(new, Duration::ZERO).await.unwrap();
}
