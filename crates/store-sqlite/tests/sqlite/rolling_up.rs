//! Moving executions into rollups.

use std::time::Duration;

use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::usage::Bucket;
use prompt_ledger_store::{Access, Maintenance, NewExecution, Registry, RollupPolicy, Split, Store, UsageFilter};

use prompt_ledger_store_sqlite::{migrate_down, migrate_up};

use crate::store::File;
use prompt_ledger_store_conformance::kit::{
    Backend, an_execution, execution_of, finish, new_id, now, put_active, run, start, success,
};
use prompt_ledger_store_conformance::recount::{all, assert_recounted, figures};

/// Moves executions of any age.
const AT_ONCE: RollupPolicy = RollupPolicy { settle: Duration::ZERO, keep: Duration::ZERO, crowd: 1_000 };

const HOUR: i64 = 3_600_000_000;

/// Start of the current hour, this many days ago.
fn hour(days: i64) -> i64 {
    let at = now().0 - days * 24 * HOUR;
    at - at.rem_euclid(HOUR)
}

/// Runs `count` executions; sets their creation times to `at` and each `apart` later than the one before.
async fn ran(file: &File, first: &NewExecution, count: i64, at: i64, apart: i64) {
    for place in 0..count {
        let new = NewExecution { id: ExecutionId(new_id()), ..first.clone() };
        run(file, &new).await;
        created(file, &new, at + place * apart).await;
    }
}

async fn created(file: &File, new: &NewExecution, at: i64) {
    file.execute(format!("UPDATE executions SET created_at = {at} WHERE id = '{}'", new.id)).await.unwrap();
}

async fn executions_told(file: &File, project: ProjectId) -> i64 {
    let rows = figures(file, project, &UsageFilter::default(), Split::default(), 9).await;
    rows.iter().map(|row| row.tally.executions).sum()
}

/// Number of executions in the rollups of a length in minutes, counted by version and by project.
async fn rollups(file: &File, span: i64) -> i64 {
    let of = "FROM usage_series s JOIN usage_rollups r ON r.series = s.id WHERE s.provider <> ''";
    file.count(&format!("SELECT coalesce(sum(r.executions), 0) {of} AND r.span = {span}")).await
}

#[tokio::test]
async fn rollups_answer_without_the_executions() {
    let file = File::fresh().await;
    let first = an_execution(&file).await;
    ran(&file, &first, 5, hour(3), HOUR / 2).await;
    let executions = all(&file, first.project_id).await;
    file.roll_up_until(Timestamp(hour(0)), 1_000).await;
    file.execute("DELETE FROM executions".into()).await.unwrap();
    for split in [Split { model: true, ..Split::default() }, Split { version: true, ..Split::default() }] {
        let found = figures(&file, first.project_id, &UsageFilter::default(), split, 9).await;
        assert_recounted(&found, &executions, &UsageFilter::default(), split);
    }
    assert_eq!([rollups(&file, 1).await, rollups(&file, 60).await, rollups(&file, 1_440).await], [10, 10, 10]);
}

#[tokio::test]
async fn totals_are_added_to_data_and_taken_away_again() {
    let file = File::fresh().await;
    let first = an_execution(&file).await;
    ran(&file, &first, 5, hour(3), HOUR / 2).await;
    let other = ModelRef { provider: "openai".into(), model_name: "o3".into() };
    let second = NewExecution { model: other, environment: "prod".into(), ..first.clone() };
    ran(&file, &second, 5, hour(3), HOUR / 3).await;
    let executions = all(&file, first.project_id).await;
    file.roll_up_until(Timestamp(hour(0)), 1_000).await;
    let totals = "SELECT count(*) FROM usage_series s JOIN usage_rollups r ON r.series = s.id WHERE s.provider = ''";
    let held = file.count(totals).await;
    file.store.close().await;
    migrate_down(&file.path, 7).await.unwrap();
    assert_eq!(file.count(totals).await, 0);
    migrate_up(&file.path).await.unwrap();
    assert!(held > 0);
    assert_eq!(file.count(totals).await, held);
    let file = file.reopened().await;
    file.execute("DELETE FROM executions".into()).await.unwrap();
    for split in [Split::default(), Split { bucket: Some(Bucket::Hour), status: true, ..Split::default() }] {
        let found = figures(&file, first.project_id, &UsageFilter::default(), split, 9).await;
        assert_recounted(&found, &executions, &UsageFilter::default(), split);
    }
}

#[tokio::test]
async fn a_crowd_is_moved_although_it_is_young_and_the_rest_stays() {
    let file = File::fresh().await;
    let first = an_execution(&file).await;
    ran(&file, &first, 10, hour(1), 60_000_000).await;
    let policy = RollupPolicy { settle: Duration::ZERO, keep: Duration::from_secs(100 * 24 * 3_600), crowd: 4 };
    while file.store.roll_up(policy).await.unwrap() {}
    assert_eq!(rollups(&file, 1).await, 2 * 8, "four at a time, until no more than four wait");
    assert_eq!(executions_told(&file, first.project_id).await, 10);
}

#[tokio::test]
async fn what_is_young_stays_for_the_clock_may_jump_back() {
    let file = File::fresh().await;
    let first = an_execution(&file).await;
    // A quarter of an hour on both sides: to record them takes a while.
    ran(&file, &first, 3, now().0 - HOUR * 3 / 4, 1).await;
    ran(&file, &first, 2, now().0 - HOUR * 5 / 4, 1).await;
    let policy = RollupPolicy { settle: Duration::from_secs(3_600), keep: Duration::ZERO, crowd: 1 };
    while file.store.roll_up(policy).await.unwrap() {}
    assert_eq!(rollups(&file, 1).await, 2 * 2);
    assert_eq!(RollupPolicy::default().settle, Duration::from_secs(10));
}

#[tokio::test]
async fn more_than_a_job_moves_are_moved_and_none_twice_whatever_they_share() {
    let file = File::fresh().await;
    let first = an_execution(&file).await;
    // The first 150 of one microsecond.
    ran(&file, &first, 150, hour(1), 0).await;
    ran(&file, &first, 150, hour(1) + 1, 1).await;
    file.roll_up_until(Timestamp(hour(0)), 1_000).await;
    assert_eq!([rollups(&file, 1).await, rollups(&file, 1_440).await], [600, 600]);
    assert_eq!(executions_told(&file, first.project_id).await, 300);
}

#[tokio::test]
async fn each_project_is_moved_and_told_apart() {
    let file = File::fresh().await;
    let first = an_execution(&file).await;
    ran(&file, &first, 3, hour(1), 1).await;
    let shop = file.store.create_project(ProjectId(new_id()), "shop").await.unwrap().id;
    let put = file.store.put_prompt(shop, put_active("greet", "A")).await.unwrap();
    ran(&file, &execution_of(shop, &put), 2, hour(1), 1).await;
    file.roll_up_until(Timestamp(hour(0)), 1_000).await;
    assert_eq!(rollups(&file, 60).await, 10);
    assert_eq!((executions_told(&file, first.project_id).await, executions_told(&file, shop).await), (3, 2));
}

#[tokio::test]
async fn a_straggler_is_moved_once_it_has_ended() {
    let file = File::fresh().await;
    let first = an_execution(&file).await;
    start(&file, &first).await;
    created(&file, &first, hour(1)).await;
    file.roll_up_until(Timestamp(hour(0)), 1_000).await;
    let open = "SELECT count(*) FROM usage_open_executions";
    assert_eq!((file.count(open).await, rollups(&file, 1).await), (1, 0));
    assert!(!file.store.roll_up(AT_ONCE).await.unwrap(), "it runs");
    finish(&file, &first, 1, success()).await;
    assert_eq!(executions_told(&file, first.project_id).await, 1);
    assert!(file.store.roll_up(AT_ONCE).await.unwrap());
    assert_eq!((file.count(open).await, rollups(&file, 1).await), (0, 2));
    assert_eq!(executions_told(&file, first.project_id).await, 1);
}

#[tokio::test]
async fn what_is_recorded_after_the_clock_was_set_back_is_told_and_moved() {
    let file = File::fresh().await;
    let first = an_execution(&file).await;
    let project = first.project_id;
    // An hour ahead the clock was right, as far as anyone knows.
    let moved = format!("INSERT INTO usage_rolled_up VALUES ('{project}', {})", now().0 + HOUR);
    file.execute(moved).await.unwrap();
    for place in 0..3 {
        let new = NewExecution { id: ExecutionId(new_id()), ..first.clone() };
        start(&file, &new).await;
        if place > 0 {
            finish(&file, &new, 1, success()).await;
        }
    }
    let split = Split { version: true, status: true, ..Split::default() };
    for (open, moved) in [(3, 0), (1, 2 * 2)] {
        let held = file.count("SELECT count(*) FROM usage_open_executions").await;
        assert_eq!((held, rollups(&file, 1).await, rollups(&file, 1_440).await), (open, moved, moved));
        let found = figures(&file, project, &UsageFilter::default(), split, 9).await;
        assert_recounted(&found, &all(&file, project).await, &UsageFilter::default(), split);
        while file.store.roll_up(AT_ONCE).await.unwrap() {}
    }
}

#[tokio::test]
async fn a_straggler_that_an_operator_deleted_is_let_go() {
    let file = File::fresh().await;
    let first = an_execution(&file).await;
    start(&file, &first).await;
    created(&file, &first, hour(1)).await;
    file.roll_up_until(Timestamp(hour(0)), 1_000).await;
    file.execute("PRAGMA foreign_keys = OFF; DELETE FROM executions".into()).await.unwrap();
    assert_eq!(file.count("SELECT count(*) FROM usage_open_executions").await, 1);
    assert_eq!(executions_told(&file, first.project_id).await, 0);
    file.store.roll_up(AT_ONCE).await.unwrap();
    assert_eq!(file.count("SELECT count(*) FROM usage_open_executions").await, 0);
}

#[tokio::test]
async fn nothing_is_written_where_there_is_nothing_to_move() {
    let file = File::fresh().await;
    ran(&file, &an_execution(&file).await, 2, hour(1), 1).await;
    file.roll_up_until(Timestamp(hour(0)), 1_000).await;
    // Another connection holds the write lock.
    let other = file.connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(!file.store.roll_up(AT_ONCE).await.unwrap());
}

#[tokio::test]
async fn figures_are_built_anew_from_the_executions() {
    let file = File::fresh().await;
    let first = an_execution(&file).await;
    ran(&file, &first, 3, hour(1), 1).await;
    start(&file, &first).await;
    created(&file, &first, hour(1)).await;
    file.roll_up_until(Timestamp(hour(0)), 1_000).await;
    let forget = "DELETE FROM usage_rollups; DELETE FROM usage_open_executions; DELETE FROM usage_rolled_up";
    file.execute(forget.into()).await.unwrap();
    assert_eq!((executions_told(&file, first.project_id).await, rollups(&file, 60).await), (4, 0));
    file.roll_up_until(Timestamp(hour(0)), 1_000).await;
    assert_eq!((executions_told(&file, first.project_id).await, rollups(&file, 60).await), (4, 6));
}

#[tokio::test]
async fn pages_by_prompt_show_every_row_once() {
    let file = File::fresh().await;
    let project = file.default_project().await;
    for (name, count) in [("a", 1), ("b", 2), ("c", 0), ("d", 3), ("e", 1)] {
        let put = file.store.put_prompt(project, put_active(name, "A")).await.unwrap();
        ran(&file, &execution_of(project, &put), count, hour(1), 1).await;
    }
    file.roll_up_until(Timestamp(hour(0)), 1_000).await;
    // Not moved, of a prompt before the last one of the first page.
    let put = file.store.put_prompt(project, put_active("bb", "A")).await.unwrap();
    ran(&file, &execution_of(project, &put), 1, now().0, 1).await;
    let executions = all(&file, project).await;
    for split in [
        Split { prompt: true, ..Split::default() },
        Split { version: true, status: true, ..Split::default() },
        Split { prompt: true, mode: true, ..Split::default() },
    ] {
        for size in 1..=6 {
            let found = figures(&file, project, &UsageFilter::default(), split, size).await;
            assert_recounted(&found, &executions, &UsageFilter::default(), split);
        }
    }
}
