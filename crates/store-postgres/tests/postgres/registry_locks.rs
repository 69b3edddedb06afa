//! Which writes wait for a project's lock, and what is decided under it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_store::{CodePrompt, Models, RegisterCode, Registry};
use prompt_ledger_testkit::poll::eventually;
use sqlx::{Executor, PgConnection};

use crate::store::Fresh;
use prompt_ledger_store_conformance::code::{batch, code};
use prompt_ledger_store_conformance::kit::{Backend, in_turn, put, put_active};

/// Bounds the wait for a lock to be asked for.
const WAIT_LIMIT: Duration = Duration::from_secs(30);
/// Number of the store's sessions that wait for a lock.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'prompt-ledger' AND wait_event_type = 'Lock'";

/// A transaction that locks the rows of all projects until it commits.
async fn holder(fresh: &Fresh) -> PgConnection {
    let mut holder = fresh.connection().await;
    holder.execute("BEGIN; SELECT 1 FROM projects FOR NO KEY UPDATE").await.unwrap();
    holder
}

/// Over a connection that is open already: those that wait give up after two seconds.
async fn waiting(watcher: &mut PgConnection) -> i64 {
    sqlx::query_scalar(WAITING).fetch_one(watcher).await.unwrap()
}

async fn until_someone_waits(watcher: &mut PgConnection) {
    let waits = async || Some(waiting(&mut *watcher).await).filter(|count| *count > 0).ok_or("nobody waits");
    eventually("a session that waits for a lock", WAIT_LIMIT, waits).await;
}

#[tokio::test]
async fn a_registration_that_changes_nothing_takes_no_lock() {
    let fresh = Fresh::fresh().await;
    let project = fresh.default_project().await;
    let carried = || batch(vec![CodePrompt { labels: vec!["production".into()], ..code("greet", "A") }]);
    fresh.store.register_code(project, carried()).await.unwrap();
    let mut other = fresh.connection().await;
    other.execute("BEGIN; SELECT 1 FROM projects FOR UPDATE; SELECT 1 FROM prompts FOR UPDATE").await.unwrap();
    fresh.store.register_code(project, carried()).await.unwrap();
    let changed = RegisterCode { dry_run: true, ..batch(vec![code("greet", "B")]) };
    fresh.store.register_code(project, changed).await.unwrap();
}

#[tokio::test]
async fn a_model_for_which_there_is_no_room_takes_no_lock() {
    let fresh = Fresh::fresh().await;
    let of = |model: &str| ModelRef { provider: "local".into(), model_name: model.into() };
    let known = fresh.store.discover_model(&of("known"), 1).await.unwrap();
    let mut other = fresh.connection().await;
    other.execute("BEGIN; SELECT 1 FROM revisions FOR UPDATE").await.unwrap();
    assert_eq!(fresh.store.discover_model(&of("known"), 1).await.unwrap(), known);
    assert_eq!(fresh.store.discover_model(&of("new"), 1).await.unwrap(), None);
}

#[tokio::test]
async fn a_prompt_that_moves_while_its_registration_waits_is_refused() {
    let fresh = Arc::new(Fresh::fresh().await);
    let project = fresh.default_project().await;
    fresh.store.register_code(project, batch(vec![code("greet", "A")])).await.unwrap();
    let before = fresh.store.revisions(&[project]).await.unwrap();
    let (mut holder, mut watcher) = (holder(&fresh).await, fresh.connection().await);
    let registering = tokio::spawn({
        let fresh = Arc::clone(&fresh);
        let registration = || batch(vec![code("new", "N"), code("greet", "B")]);
        async move { in_turn(|| fresh.store.register_code(project, registration())).await }
    });
    until_someone_waits(&mut watcher).await;
    holder.execute("UPDATE prompts SET mode = 'full'; COMMIT").await.unwrap();
    let refused = registering.await.unwrap().unwrap_err();
    assert_eq!(refused.reason(), Reason::ModeMismatch);
    assert_eq!(fresh.store.revisions(&[project]).await.unwrap(), before);
    assert_eq!(fresh.count("SELECT count(*) FROM prompts").await, 1);
    assert_eq!(fresh.count("SELECT count(*) FROM prompt_versions").await, 1);
}

#[tokio::test]
async fn writes_that_wait_for_a_project_leave_connections_to_other_calls() {
    let fresh = Arc::new(Fresh::fresh().await);
    let project = fresh.default_project().await;
    fresh.store.put_prompt(project, put("edited", "A")).await.unwrap();
    let (mut holder, mut watcher) = (holder(&fresh).await, fresh.connection().await);
    let writes: Vec<_> = (0..32)
        .map(|n| {
            let fresh = Arc::clone(&fresh);
            tokio::spawn(async move {
                let text = format!("release {}", n % 4);
                if n % 2 == 0 {
                    let register = || fresh.store.register_code(project, batch(vec![code("carried", &text)]));
                    in_turn(register).await.map(drop)
                } else {
                    in_turn(|| fresh.store.put_prompt(project, put_active("edited", &text))).await.map(drop)
                }
            })
        })
        .collect();
    until_someone_waits(&mut watcher).await;
    for _ in 0..50 {
        fresh.store.revisions(&[project]).await.unwrap();
        assert!(waiting(&mut watcher).await <= 1);
    }
    holder.execute("COMMIT").await.unwrap();
    for write in join_all(writes).await {
        write.unwrap().unwrap();
    }
    assert_eq!(fresh.store.versions(project, "carried", None, 9).await.unwrap().0.len(), 2);
}
