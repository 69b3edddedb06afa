//! Moving executions into rollups.

use std::time::Duration;

use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_store::{Maintenance, NewExecution, RollupPolicy, Split, UsageFilter};
use prompt_ledger_testkit::poll::eventually;
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::store::{Fresh, open};
use prompt_ledger_store_conformance::kit::{Backend, an_execution, new_id, now, run, start};
use prompt_ledger_store_conformance::recount::{all, assert_recounted, figures};

/// Moves executions of any age.
const AT_ONCE: RollupPolicy = RollupPolicy { settle: Duration::ZERO, keep: Duration::ZERO, crowd: 1_000 };

const HOUR: i64 = 3_600_000_000;

/// Start of the current hour, this many days ago.
fn hour(days: i64) -> i64 {
    let at = now().0 - days * 24 * HOUR;
    at - at.rem_euclid(HOUR)
}

/// Runs `count` executions; sets their creation times to `at` and each a minute later than the one before.
async fn ran(fresh: &Fresh, first: &NewExecution, count: i64, at: i64) {
    for place in 0..count {
        let new = NewExecution { id: ExecutionId(new_id()), ..first.clone() };
        run(fresh, &new).await;
        created(fresh, &new, at + place * 60_000_000).await;
    }
}

async fn created(fresh: &Fresh, new: &NewExecution, at: i64) {
    let at = Fresh::timestamp(at);
    fresh.execute(format!("UPDATE executions SET created_at = {at} WHERE id = '{}'", new.id)).await.unwrap();
}

async fn executions_told(fresh: &Fresh) -> i64 {
    let project = fresh.default_project().await;
    let rows = figures(fresh, project, &UsageFilter::default(), Split::default(), 9).await;
    rows.iter().map(|row| row.tally.executions).sum()
}

async fn rollups(fresh: &Fresh, span: i64) -> i64 {
    fresh.count(&format!("SELECT coalesce(sum(executions), 0)::int8 FROM usage_rollups WHERE span = {span}")).await
}

#[tokio::test]
async fn minutes_hours_and_days_are_added_up_as_they_are_over() {
    let fresh = Fresh::fresh().await;
    let first = an_execution(&fresh).await;
    let midnight = hour(3) - hour(3).rem_euclid(24 * HOUR);
    ran(&fresh, &first, 3, midnight).await;
    for (until, [minutes, hours, days]) in
        [(midnight + 70_000_000, [4, 0, 0]), (midnight + HOUR, [6, 6, 0]), (midnight + 24 * HOUR, [6, 6, 6])]
    {
        fresh.roll_up_until(Timestamp(until), 1_000).await;
        let [one, sixty, all] = [rollups(&fresh, 1).await, rollups(&fresh, 60).await, rollups(&fresh, 1_440).await];
        assert_eq!([one, sixty, all], [minutes, hours, days], "by version and by project");
        assert_eq!(executions_told(&fresh).await, 3);
    }
}

#[tokio::test]
async fn rollups_answer_without_the_executions() {
    let fresh = Fresh::fresh().await;
    let first = an_execution(&fresh).await;
    ran(&fresh, &first, 5, hour(3)).await;
    let by_model = Split { model: true, ..Split::default() };
    let executions = all(&fresh, first.project_id).await;
    fresh.roll_up_until(Timestamp(hour(0)), 1_000).await;
    fresh.execute("DELETE FROM executions".into()).await.unwrap();
    let found = figures(&fresh, first.project_id, &UsageFilter::default(), by_model, 9).await;
    assert_recounted(&found, &executions, &UsageFilter::default(), by_model);
}

#[tokio::test]
async fn what_a_transaction_has_not_committed_yet_is_waited_for() {
    let fresh = Fresh::fresh().await;
    let first = an_execution(&fresh).await;
    ran(&fresh, &first, 2, hour(2)).await;
    let mut slow = fresh.connection().await;
    let mut open = slow.begin().await.unwrap();
    // Its creation time is past, and its transaction not yet committed.
    let late = format!(
        "INSERT INTO executions SELECT (x).* FROM (SELECT jsonb_populate_record(e, jsonb_build_object('id', '{}')) AS x
         FROM executions e LIMIT 1) y",
        new_id()
    );
    open.execute(AssertSqlSafe(late)).await.unwrap();
    for _ in 0..5 {
        fresh.store.roll_up(AT_ONCE).await.unwrap();
    }
    assert_eq!(fresh.count("SELECT count(*) FROM usage_rolled_up WHERE until > 'epoch'").await, 0);
    assert_eq!(executions_told(&fresh).await, 2);
    open.commit().await.unwrap();
    assert_eq!(executions_told(&fresh).await, 3);
    fresh.roll_up_until(Timestamp(hour(0)), 1_000).await;
    assert_eq!((rollups(&fresh, 60).await, executions_told(&fresh).await), (6, 3));
}

#[tokio::test]
async fn many_processes_move_each_execution_once() {
    let fresh = Fresh::fresh().await;
    let first = an_execution(&fresh).await;
    ran(&fresh, &first, 30, hour(2)).await;
    let other = open(fresh.database.url()).await.unwrap();
    // As many at once as each store has connections for: none waits for one.
    let moving = [&fresh.store, &other, &fresh.store, &other].map(|store| async move {
        for _ in 0..10 {
            store.roll_up(RollupPolicy { crowd: 3, ..AT_ONCE }).await.unwrap();
        }
    });
    futures::future::join_all(moving).await;
    fresh.roll_up_until(Timestamp(hour(0)), 3).await;
    assert_eq!((rollups(&fresh, 1).await, rollups(&fresh, 60).await), (60, 60));
    assert_eq!(executions_told(&fresh).await, 30);
}

#[tokio::test]
async fn what_ended_late_is_moved_although_a_crowd_waits_that_is_too_young_to_be() {
    let fresh = Fresh::fresh().await;
    let first = an_execution(&fresh).await;
    start(&fresh, &first).await;
    created(&fresh, &first, hour(1)).await;
    let until = fresh.roll_up_until(Timestamp(hour(1) + 60_000_000), 1_000).await;
    let open = "SELECT count(*) FROM usage_open_executions";
    assert_eq!(fresh.count(open).await, 1);
    let end = format!("UPDATE executions SET status = 'succeeded', completed_at = now() WHERE id = '{}'", first.id);
    fresh.execute(end).await.unwrap();
    for place in 1..=3 {
        let new = NewExecution { id: ExecutionId(new_id()), ..first.clone() };
        run(&fresh, &new).await;
        created(&fresh, &new, until.0 + place).await;
    }
    let step = async || {
        // What is closed ends within the step after `until`: it cannot be moved yet.
        let settle = now().since(Timestamp(until.0 + 8_000_000));
        let policy = RollupPolicy { settle, keep: Duration::from_secs(100 * 24 * 3_600), crowd: 2 };
        assert!(!fresh.store.roll_up(policy).await.unwrap());
        (fresh.count(open).await == 0).then_some(()).ok_or("it is open")
    };
    // Transactions of other tests on the same server delay the rollup.
    eventually("the late one to be moved", Duration::from_secs(60), step).await;
    assert_eq!((rollups(&fresh, 1).await, executions_told(&fresh).await), (2, 4));
}

#[tokio::test]
async fn a_crowd_is_moved_although_it_is_young_and_the_rest_stays() {
    let fresh = Fresh::fresh().await;
    let first = an_execution(&fresh).await;
    ran(&fresh, &first, 10, hour(1)).await;
    let policy = RollupPolicy { settle: Duration::ZERO, keep: Duration::from_secs(100 * 24 * 3_600), crowd: 4 };
    let moved = "SELECT coalesce(sum(executions), 0)::int8 FROM usage_rollups WHERE span = 1";
    // Transactions of other tests on the same server delay the rollup.
    while fresh.count(moved).await < 2 * 6 {
        fresh.store.roll_up(policy).await.unwrap();
    }
    for _ in 0..5 {
        assert!(!fresh.store.roll_up(policy).await.unwrap());
    }
    assert_eq!(fresh.count(moved).await, 2 * 8, "four at a time, until no more than four wait");
    assert_eq!(executions_told(&fresh).await, 10);
}

#[tokio::test]
async fn a_straggler_that_an_operator_deleted_is_let_go() {
    let fresh = Fresh::fresh().await;
    let first = an_execution(&fresh).await;
    start(&fresh, &first).await;
    created(&fresh, &first, hour(1)).await;
    fresh.roll_up_until(Timestamp(hour(0)), 1_000).await;
    assert_eq!(fresh.count("SELECT count(*) FROM usage_open_executions").await, 1);
    fresh.execute("DELETE FROM executions".into()).await.unwrap();
    assert_eq!(executions_told(&fresh).await, 0);
    fresh.store.roll_up(AT_ONCE).await.unwrap();
    assert_eq!(fresh.count("SELECT count(*) FROM usage_open_executions").await, 0);
}

#[tokio::test]
async fn a_mark_of_the_cluster_that_a_backup_was_made_in_holds_nobody_up() {
    let fresh = Fresh::fresh().await;
    let first = an_execution(&fresh).await;
    ran(&fresh, &first, 2, hour(1)).await;
    let foreign = "UPDATE usage_rolled_up SET marked_at = now() - interval '1 day', marked_xid = '9000000000000'";
    fresh.execute(foreign.into()).await.unwrap();
    fresh.roll_up_until(Timestamp(hour(0)), 1_000).await;
    assert_eq!(rollups(&fresh, 60).await, 4);
}

#[tokio::test]
async fn figures_are_built_anew_from_the_executions() {
    let fresh = Fresh::fresh().await;
    let first = an_execution(&fresh).await;
    ran(&fresh, &first, 3, hour(1)).await;
    start(&fresh, &first).await;
    created(&fresh, &first, hour(1)).await;
    fresh.roll_up_until(Timestamp(hour(0)), 1_000).await;
    let forget = "TRUNCATE usage_rollups, usage_open_executions;
        UPDATE usage_rolled_up SET until = 'epoch', marked_at = NULL, marked_xid = NULL";
    fresh.execute(forget.into()).await.unwrap();
    assert_eq!((executions_told(&fresh).await, rollups(&fresh, 60).await), (4, 0));
    fresh.roll_up_until(Timestamp(hour(0)), 1_000).await;
    assert_eq!((executions_told(&fresh).await, rollups(&fresh, 60).await), (4, 6));
}
