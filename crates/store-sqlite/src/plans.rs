//! Tests which index each statement uses, by its query plan: a wrong one is noticeable on large tables only.

use rusqlite::Connection;

use super::connection::DatabaseFile;
use super::{
    LOCK_WAIT, analytics, cancel, claim, executions, expire, finish, lease, list, list_walks, migrate, read, record,
    registry_feed, roll_up,
};

/// A connection to a new database, in a directory that is deleted with it.
pub(super) fn database() -> (tempfile::TempDir, Connection) {
    let directory = tempfile::tempdir().unwrap();
    let file = DatabaseFile::new(&directory.path().join("ledger.db"), LOCK_WAIT);
    file.create().unwrap();
    let mut connection = file.open().unwrap();
    migrate::up(&mut connection).unwrap();
    (directory, connection)
}

fn plan(connection: &Connection, statement: &str) -> String {
    let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
    let lines = explained.raw_query().mapped(|row| row.get::<_, String>("detail")).collect::<Result<Vec<_>, _>>();
    lines.unwrap().join("\n")
}

#[test]
fn every_list_walks_its_index_newest_first() {
    let (_directory, connection) = database();
    for (script, index) in list_walks::walks() {
        for statement in script.texts() {
            let plan = plan(&connection, statement);
            assert!(plan.starts_with(&format!("SEARCH x USING INDEX {index} (")), "{plan}");
            let walk = plan.lines().next().unwrap_or_default();
            assert!(walk.ends_with("AND created_at>? AND created_at<?)"), "{plan}");
            // Only rows with the same creation time are sorted, by id; sorting more would read the whole list for one
            // page.
            assert!(plan.ends_with("USE TEMP B-TREE FOR LAST TERM OF ORDER BY"), "{plan}");
            assert!(!plan.contains("SCAN x"), "{plan}");
        }
    }
}

#[test]
fn streams_of_prompts_walk_indexes() {
    let (_directory, connection) = database();
    let [changed, named, numbered] = registry_feed::scripts().map(|script| script.texts().next().unwrap());
    let changed = plan(&connection, changed);
    assert_eq!(changed, "SEARCH p USING INDEX prompts_revision (project_id=? AND revision>?)");
    for (statement, index) in [(named, "(project_id=? AND name=?)"), (numbered, "(prompt_id=? AND version_number=?)")] {
        let plan = plan(&connection, statement);
        assert!(plan.contains(index) && !plan.contains("AUTOMATIC"), "{plan}");
    }
}

#[test]
fn no_statement_about_executions_scans_a_table() {
    let (_directory, connection) = database();
    let scripts = [
        &record::scripts()[..],
        &finish::scripts(),
        &claim::scripts(),
        &lease::scripts(),
        &cancel::scripts(),
        &expire::scripts(),
        &read::scripts(),
        &executions::scripts(),
        &analytics::scripts(),
        &roll_up::scripts(),
        &list::scripts(),
        &list_walks::scripts(),
    ];
    for statement in scripts.into_iter().flatten().flat_map(|script| script.texts()) {
        let plan = plan(&connection, statement);
        for line in plan.lines().filter(|line| line.starts_with("SCAN")) {
            // The rollup job looks at every open execution.
            let open = "INDEX usage_open_executions_time";
            let fine = ["VIRTUAL TABLE", "CONSTANT ROW", "(subquery-", "INDEX executions_due", open];
            assert!(fine.iter().any(|fine| line.contains(fine)), "{statement}: {plan}");
        }
        assert!(!plan.contains("AUTOMATIC"), "{statement}: {plan}");
    }
}

#[test]
fn what_is_run_for_each_execution_builds_no_table_in_memory() {
    let (_directory, connection) = database();
    let usual = record::usual_scripts().into_iter().chain(finish::usual_scripts());
    for statement in usual.flat_map(super::statement::Script::texts) {
        let mut explained = connection.prepare(&format!("EXPLAIN {statement}")).unwrap();
        let steps = explained.raw_query().mapped(|row| row.get::<_, String>("opcode")).collect::<Result<Vec<_>, _>>();
        let steps = steps.unwrap();
        // A counter of foreign keys is one of a statement of several rows, for which pages are copied before they change.
        for costly in ["OpenEphemeral", "OpenAutoindex", "SorterOpen", "FkCounter"] {
            assert!(steps.iter().all(|step| step != costly), "{costly}: {statement}");
        }
    }
}
