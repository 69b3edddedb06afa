//! The migration that adds an index for each filter of lists, after some of them were built beforehand.

use prompt_ledger_store::{ExecutionFilter, Store};
use prompt_ledger_store_conformance::kit::{Backend, an_execution, listed, run};
use prompt_ledger_store_postgres::{migrate_down, migrate_up};

use crate::store::{Fresh, open};

#[tokio::test]
async fn indexes_built_beforehand_are_taken_over_and_unfinished_ones_are_named() {
    let fresh = Fresh::fresh().await;
    let url = fresh.database.url();
    run(&fresh, &an_execution(&fresh).await).await;
    fresh.store.close().await;
    migrate_down(url, 4).await.unwrap();
    let early = "CREATE INDEX CONCURRENTLY IF NOT EXISTS executions_live ON executions (status, project_id, created_at)
        WHERE completed_at IS NULL AND status <> 'succeeded'";
    fresh.execute(early.into()).await.unwrap();
    // As a build that was interrupted leaves it.
    let unfinished = |valid: bool| {
        format!("UPDATE pg_index SET indisvalid = {valid} WHERE indexrelid = 'executions_live'::regclass")
    };
    fresh.execute(unfinished(false)).await.unwrap();
    let refused = migrate_up(url).await.unwrap_err().to_string();
    assert!(refused.contains("executions_live"), "{refused}");
    fresh.execute(unfinished(true)).await.unwrap();
    let built = fresh.count("SELECT 'executions_live'::regclass::oid::int8").await;
    migrate_up(url).await.unwrap();
    assert_eq!(fresh.count("SELECT 'executions_live'::regclass::oid::int8").await, built);
    let again = Fresh { store: open(url).await.unwrap(), ..fresh };
    assert_eq!(
        listed(&again, &ExecutionFilter { environment: "dev".into(), ..ExecutionFilter::default() }).await.len(),
        1
    );
}
