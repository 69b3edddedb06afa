//! Postgres that refuses: logins, a name, writes. A process that starts is told why; one that runs waits for it to pass.

use std::time::{Duration, Instant};

use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_store::{Executions, NewExecution, Store};
use prompt_ledger_store_postgres::{migrate_down, migrate_up};
use prompt_ledger_testkit::services::{self, Postgres as Service};

use crate::store::{Fresh, open};
use prompt_ledger_store_conformance::kit::{Backend as _, an_execution, fence, new_id, reason, start, submit};

const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until a call fails for this reason, or until it goes well.
async fn until<T: std::fmt::Debug>(
    wanted: Option<Reason>,
    mut call: impl AsyncFnMut() -> prompt_ledger_domain::Result<T>,
) {
    let began = Instant::now();
    loop {
        let answer = call().await;
        if answer.as_ref().err().map(prompt_ledger_domain::Error::reason) == wanted {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "waited for {wanted:?}: {answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
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
    assert_eq!(reason(fresh.store.extend(&[fence(new.id, 1)], PATIENCE).await), Reason::StoreUnavailable);
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
    // One that had been open, and does no more than read.
    assert_eq!(reason(fresh.store.get(new.project_id, new.id).await), Reason::StoreUnavailable);
    set("off");
    until(None, async || fresh.store.submit(next.clone(), Duration::ZERO).await).await;
    until(None, async || fresh.store.check_writable().await).await;
    fresh.store.get(new.project_id, new.id).await.unwrap();
}
