//! Tests which index each statement uses, by its query plan: a wrong one is noticeable on large tables only.

use sqlx::{AssertSqlSafe, Row};

use super::super::{Sqlite, cancel, claim, error, executions, expire, finish, lease, read, record};
use super::{NAMED, OF_CORRELATION, OF_PROJECT, OF_PROMPT, OF_STATUS, OF_VERSION};

async fn plan(store: &Sqlite, statement: &str) -> String {
    let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let rows = sqlx::query(sql).fetch_all(&store.readers).await.map_err(error::store).unwrap();
    rows.iter().map(|row| row.get::<String, _>("detail")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn every_shape_of_a_list_walks_its_index_newest_first() {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&directory.path().join("ledger.db")).await.unwrap();
    for (shapes, walk) in [
        (&OF_PROJECT, "x USING INDEX executions_project (project_id=? AND created_at>? AND created_at<?)"),
        (&OF_PROMPT, "x USING INDEX executions_prompt (prompt_id=? AND created_at>? AND created_at<?)"),
        (&OF_VERSION, "x USING INDEX executions_version (version_id=? AND created_at>? AND created_at<?)"),
        (&OF_CORRELATION, "x USING INDEX executions_correlation (correlation_id=? AND created_at>? AND created_at<?)"),
        (&OF_STATUS, "x USING INDEX executions_status (status=? AND created_at>? AND created_at<?)"),
    ] {
        for statement in shapes.iter() {
            let plan = plan(&store, statement).await;
            assert!(plan.starts_with(&format!("SEARCH {walk}")), "{plan}");
            // Only rows with the same creation time are sorted, by id; sorting more would read the whole list for one
            // page.
            assert!(plan.ends_with("USE TEMP B-TREE FOR LAST TERM OF ORDER BY"), "{plan}");
            assert!(!plan.contains("SCAN x") && !plan.contains("SCAN i") && !plan.contains("SCAN o"), "{plan}");
        }
    }
}

#[tokio::test]
async fn what_every_execution_writes_is_found_by_its_identity() {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&directory.path().join("ledger.db")).await.unwrap();
    for jobs in [1, 2, 64] {
        let records = record::STATEMENTS.iter().map(|statement| statement.text(jobs));
        let ends = finish::STATEMENTS.iter().map(|statement| statement.text(jobs));
        for statement in records.chain(ends) {
            let plan = plan(&store, &statement).await;
            for line in plan.lines().filter(|line| line.starts_with("SCAN")) {
                // The bound values, each scanned once.
                assert!(line == "SCAN job" || line.contains("CONSTANT ROW"), "{plan}");
            }
            assert!(plan.contains("(id=?)") && !plan.contains("AUTOMATIC"), "{plan}");
        }
    }
}

#[tokio::test]
async fn no_hot_statement_scans_a_table() {
    let directory = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&directory.path().join("ledger.db")).await.unwrap();
    let statements: [&str; 10] = [
        &NAMED,
        &read::WHOLE,
        &read::EVENTS,
        record::BY_KEY,
        &expire::ANY,
        &lease::EXTEND,
        claim::ANY_DUE,
        &claim::CLAIMED,
        cancel::CANCELED_OF,
        executions::QUEUED,
    ];
    for statement in statements {
        let plan = plan(&store, statement).await;
        for line in plan.lines().filter(|line| line.starts_with("SCAN")) {
            assert!(
                ["VIRTUAL TABLE", "CONSTANT ROW", "(subquery-", "INDEX executions_due"]
                    .iter()
                    .any(|fine| line.contains(fine)),
                "{statement}: {plan}"
            );
        }
    }
}
