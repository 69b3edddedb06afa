//! Migrations beside sessions that use the tables.

use std::time::Duration;

use prompt_ledger_store_conformance::kit::{Backend, an_execution, run};
use prompt_ledger_store_postgres::{migrate_down, migrate_status, migrate_up};
use prompt_ledger_testkit::poll::eventually;
use sqlx::Executor;

use crate::store::Fresh;

const WAIT_LIMIT: Duration = Duration::from_secs(60);
/// Sessions of this database that wait for the lock of a table.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'relation'";

async fn until_waiting(fresh: &Fresh, count: i64) {
    let waiting = async || Some(fresh.count(WAITING).await).filter(|found| *found == count).ok_or("not yet");
    eventually("sessions that wait for a table", WAIT_LIMIT, waiting).await;
}

#[tokio::test]
async fn a_migration_gives_way_to_those_that_use_its_tables_and_begins_again() {
    let fresh = Fresh::fresh().await;
    let url = fresh.database.url().to_owned();
    run(&fresh, &an_execution(&fresh).await).await;
    // Down to where a column of executions is added.
    migrate_down(&url, 3).await.unwrap();
    let mut holder = fresh.connection().await;
    holder.execute("BEGIN; SELECT 1 FROM executions").await.unwrap();
    let migrating = tokio::spawn({
        let url = url.clone();
        async move { migrate_up(&url).await }
    });
    until_waiting(&fresh, 1).await;
    // Whoever comes behind it waits until it gives way, and no longer.
    let mut other = fresh.connection().await;
    other.execute("SET lock_timeout = '30s'; SELECT 1 FROM executions").await.unwrap();
    until_waiting(&fresh, 1).await;
    holder.execute("COMMIT").await.unwrap();
    migrating.await.unwrap().unwrap();
    assert!(migrate_status(&url).await.unwrap().iter().all(|migration| migration.applied));
}
