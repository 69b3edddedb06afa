//! The conformance suite on SQLite, and tests of what is specific to SQLite.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_store::{
    Access, ExecutionReader, ExecutionWriter, Maintenance, Models, NewExecution, ProcessKind, ProcessRecord, Processes,
    Recorded, RegisterCode, Registry, RollupPolicy, Store,
};
use prompt_ledger_store_sqlite::{Sqlite, migrate_down, migrate_status, migrate_up};
use rusqlite::Connection;

use prompt_ledger_store_conformance::code::{batch, code};
use prompt_ledger_store_conformance::kit::{
    Backend, an_execution, holder, new_id, now, providers, put, put_active, reason, register, run, start,
};

/// A store in a file of its own, deleted with it.
pub(crate) struct File {
    pub(crate) store: Sqlite,
    pub(crate) path: PathBuf,
    _directory: tempfile::TempDir,
}

impl File {
    async fn with_lock_wait(wait: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/deep/ledger.db");
        let store = Sqlite::open_within(&path, wait).await.unwrap();
        Self { store, path, _directory: directory }
    }

    /// A connection besides those of the store.
    pub(crate) fn connection(&self) -> Connection {
        let connection = Connection::open(&self.path).unwrap();
        connection.busy_timeout(Duration::from_secs(30)).unwrap();
        connection
    }

    pub(crate) async fn reopened(self) -> Self {
        self.store.close().await;
        Self { store: Sqlite::open(&self.path).await.unwrap(), ..self }
    }
}

#[async_trait]
impl Backend for File {
    type Store = Sqlite;

    const YOUTH: bool = false;

    async fn fresh() -> Self {
        Self::with_lock_wait(Duration::from_secs(30)).await
    }

    fn store(&self) -> &Sqlite {
        &self.store
    }

    fn timestamp(micros: i64) -> String {
        micros.to_string()
    }

    async fn execute(&self, sql: String) -> Result<(), String> {
        self.connection().execute_batch(&sql).map_err(|error| error.to_string())
    }

    async fn roll_up_until(&self, at: Timestamp, crowd: usize) -> Timestamp {
        let policy = RollupPolicy { settle: Duration::ZERO, keep: now().since(at), crowd };
        while self.store.roll_up(policy).await.unwrap() {}
        Timestamp(self.count("SELECT coalesce(max(until), 0) FROM usage_rolled_up").await)
    }

    async fn count(&self, sql: &str) -> i64 {
        self.connection().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_and_its_directory_are_the_users_alone() {
    use std::os::unix::fs::PermissionsExt;
    let file = File::fresh().await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file.path), mode(file.path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(mode(&file.path.with_extension("db-wal")), 0o600);
}

#[tokio::test]
async fn what_was_answered_is_there_after_the_store_was_abandoned() {
    let file = File::fresh().await;
    let new = an_execution(&file).await;
    let done = run(&file, &new).await;
    // Not closed: the second store recovers the WAL of the first.
    let second = Sqlite::open(&file.path).await.unwrap();
    assert_eq!(second.get(new.project_id, new.id).await.unwrap(), done);
}

#[tokio::test]
async fn a_closed_store_leaves_one_file_and_refuses_work() {
    let file = File::fresh().await;
    let new = an_execution(&file).await;
    let done = run(&file, &new).await;
    file.store.close().await;
    file.store.close().await;
    assert!(!file.path.with_extension("db-wal").exists(), "the WAL was moved into the file");
    assert_eq!(reason(file.store.project("default").await), Reason::StoreUnavailable);
    let error = file.store.put_prompt(new.project_id, put("x", "A")).await.unwrap_err();
    assert_eq!(error.reason(), Reason::StoreUnavailable);
    assert_eq!(error.parts().retry_after, Some(Duration::from_secs(1)));
    let file = file.reopened().await;
    assert_eq!(file.store.get(new.project_id, new.id).await.unwrap(), done);
}

#[tokio::test]
async fn closing_commits_what_was_submitted() {
    let file = File::fresh().await;
    let project = file.default_project().await;
    let writes =
        futures::future::join_all((0..200).map(|i| file.store.put_prompt(project, put("greet", &i.to_string()))));
    let (written, ()) = tokio::join!(writes, file.store.close());
    let good = written.iter().filter(|done| done.is_ok()).count();
    let file = file.reopened().await;
    assert_eq!(file.count("SELECT count(*) FROM prompt_versions").await, i64::try_from(good).unwrap());
}

#[tokio::test]
async fn a_caller_that_goes_away_undoes_nothing() {
    let file = File::fresh().await;
    let new = an_execution(&file).await;
    let other = file.connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    {
        let started = file.store.start(new.clone(), holder());
        // Polled once: submitted, then dropped before the result.
        assert!(futures::poll!(started).is_pending());
    }
    other.execute_batch("COMMIT").unwrap();
    // Writes keep their order: when this one completes, the other one has run.
    register(&file, put("after", "A")).await;
    assert!(file.store.get(new.project_id, new.id).await.is_ok());
}

#[tokio::test]
async fn another_process_that_writes_is_waited_for_within_a_bound() {
    let file = File::with_lock_wait(Duration::from_millis(1)).await;
    let new = an_execution(&file).await;
    let other = file.connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = file.store.start(new.clone(), holder()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::StoreUnavailable);
    assert_eq!(error.parts().retry_after, Some(Duration::from_secs(1)));
    assert!(file.store.prompt(new.project_id, "greet").await.is_ok(), "reads go on");
    other.execute_batch("ROLLBACK").unwrap();
    start(&file, &new).await;
}

#[tokio::test]
async fn a_job_that_fails_half_way_leaves_nothing_and_its_neighbours_alone() {
    let file = File::fresh().await;
    let new = an_execution(&file).await;
    let project = new.project_id;
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON prompt_versions WHEN NEW.template_source = 'bad' \
                   BEGIN SELECT RAISE(ABORT, 'refused'); END";
    file.execute(trigger.into()).await.unwrap();
    let alone = file.store.put_prompt(project, put("lonely", "bad")).await;
    assert_eq!(reason(alone), Reason::Internal);
    let puts = (0..40).map(|i| {
        let text = if i % 4 == 0 { "bad".to_owned() } else { format!("good {i}") };
        file.store.put_prompt(project, put(&format!("p{i}"), &text))
    });
    let results = futures::future::join_all(puts).await;
    for (i, result) in results.into_iter().enumerate() {
        assert_eq!(result.is_err(), i % 4 == 0, "{i}");
    }
    assert_eq!(file.count("SELECT count(*) FROM prompts WHERE name <> 'greet'").await, 30);
    assert_eq!(file.count("SELECT revision FROM projects").await, 31, "each that stayed took one");
}

#[tokio::test]
async fn an_execution_that_is_refused_leaves_its_neighbours_alone() {
    let file = File::fresh().await;
    let new = an_execution(&file).await;
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON execution_events WHEN NEW.attempt = 1 AND EXISTS \
                   (SELECT 1 FROM executions WHERE id = NEW.execution_id AND environment = 'bad') \
                   BEGIN SELECT RAISE(ABORT, 'refused'); END";
    file.execute(trigger.into()).await.unwrap();
    let of =
        |environment: &str| NewExecution { id: ExecutionId(new_id()), environment: environment.into(), ..new.clone() };
    assert_eq!(reason(file.store.start(of("bad"), holder()).await), Reason::Internal);
    let starts = (0..40).map(|i| file.store.start(of(if i % 4 == 0 { "bad" } else { "good" }), holder()));
    for (i, started) in futures::future::join_all(starts).await.into_iter().enumerate() {
        assert_eq!(started.is_err(), i % 4 == 0, "{i}");
    }
    assert_eq!(file.count("SELECT count(*) FROM executions").await, 30);
    assert_eq!(file.count("SELECT count(*) FROM execution_inputs").await, 30);
}

#[tokio::test]
async fn what_was_not_recorded_leaves_no_number_of_its_version_and_environment() {
    let file = File::fresh().await;
    let new = an_execution(&file).await;
    let numbers = || file.count("SELECT count(*) FROM version_environments");
    register(&file, put_active("greet", "another")).await;
    assert_eq!(file.store.start(new.clone(), holder()).await.unwrap(), Recorded::Stale);
    assert_eq!(numbers().await, 0);
    // One that was there before stays.
    let named = NewExecution { must_be_active: false, ..new.clone() };
    start(&file, &named).await;
    let again = NewExecution { id: ExecutionId(new_id()), ..new };
    assert_eq!(file.store.start(again, holder()).await.unwrap(), Recorded::Stale);
    assert_eq!(numbers().await, 1);
}

#[tokio::test]
async fn the_writer_recovers_when_a_batch_cannot_be_committed() {
    let file = File::fresh().await;
    let new = an_execution(&file).await;
    // RAISE(ROLLBACK) ends the batch's transaction, as a full disk does.
    let trigger = "CREATE TRIGGER lose BEFORE INSERT ON executions WHEN NEW.environment = 'lost' \
                   BEGIN SELECT RAISE(ROLLBACK, 'lost'); END";
    file.execute(trigger.into()).await.unwrap();
    let lost = NewExecution { environment: "lost".into(), ..new.clone() };
    let (lost, neighbour) =
        tokio::join!(file.store.start(lost, holder()), file.store.put_prompt(new.project_id, put("neighbour", "A")));
    assert!(lost.is_err());
    let alone = NewExecution { environment: "lost".into(), ..new.clone() };
    assert!(file.store.start(alone, holder()).await.is_err());
    let there = file.store.prompt(new.project_id, "neighbour").await.is_ok();
    assert_eq!(neighbour.is_ok(), there, "an answer is the truth");
    start(&file, &new).await;
}

#[tokio::test]
async fn the_wal_is_moved_into_the_file_while_writers_write() {
    let file = File::fresh().await;
    let project = file.default_project().await;
    let before = std::fs::metadata(&file.path).unwrap().len();
    let texts = (0..2_000).map(|i| file.store.put_prompt(project, put("greet", &"x".repeat(2_000 + i))));
    futures::future::join_all(texts).await;
    // The store's checkpoint has no observable end, and one beside it is refused.
    let began = Instant::now();
    while std::fs::metadata(&file.path).unwrap().len() <= before {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing was moved");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(file.store.prompt(project, "greet").await.unwrap().prompt.latest_version, 2_000);
}

#[tokio::test]
async fn migrations_go_up_down_and_up_again_on_data() {
    let file = File::fresh().await;
    let new = an_execution(&file).await;
    run(&file, &new).await;
    let queued = NewExecution { id: ExecutionId(new_id()), ..new };
    file.store.submit(queued.clone(), Duration::ZERO).await.unwrap();
    let process = ProcessRecord {
        id: "dev-1".into(),
        kind: ProcessKind::Dev,
        providers: BTreeMap::default(),
        release: "1".into(),
    };
    file.store.announce(&process).await.unwrap();
    file.store.close().await;
    let path = &file.path;
    let applied =
        async || migrate_status(path).await.unwrap().iter().map(|m| (m.version, m.applied)).collect::<Vec<_>>();
    let known: Vec<_> = applied().await.into_iter().map(|(version, _)| version).collect();
    let to = |newest| known.iter().map(|version| (*version, *version <= newest)).collect::<Vec<_>>();
    assert_eq!(applied().await, to(i64::MAX));
    migrate_up(path).await.unwrap();
    // With what only it can hold.
    migrate_down(path, 3).await.unwrap();
    let held = "SELECT (SELECT count(*) FROM executions WHERE idempotency_key IS NULL AND cached_prompt_tokens = 2) + \
                (SELECT count(*) FROM execution_attempts WHERE response_tokens = 5)";
    assert_eq!(file.count(held).await, 2);
    migrate_up(path).await.unwrap();
    assert_eq!(file.count(held).await, 2);
    let empty = "SELECT count(*) FROM executions WHERE response_model IS NULL AND cache_write_5m_tokens IS NULL";
    assert_eq!(file.count(empty).await, 2);
    migrate_down(path, 1).await.unwrap();
    assert_eq!(applied().await, to(1));
    assert_eq!(file.count("SELECT sum(executions) FROM version_executions").await, 2);
    migrate_up(path).await.unwrap();
    assert_eq!(file.count("SELECT count(*) FROM processes").await, 0);
    let store = Sqlite::open(path).await.unwrap();
    let claimed = store.claim_due(9, providers(), holder()).await.unwrap();
    assert_eq!((claimed.len(), claimed[0].fence.id), (1, queued.id), "what was queued is found by the new index");
    store.close().await;
    migrate_down(path, 0).await.unwrap();
    assert_eq!(applied().await, to(0));
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE '%sqlx%' AND name NOT LIKE 'sqlite%'";
    assert_eq!(file.count(tables).await, 0);
    assert_eq!(reason(migrate_down(path, 99).await), Reason::InvalidField);
    migrate_up(path).await.unwrap();
    assert_eq!(applied().await, to(i64::MAX));
    let file = file.reopened().await;
    assert!(!file.store.models("", None, 5).await.unwrap().is_empty());
    run(&file, &an_execution(&file).await).await;
}

#[tokio::test]
async fn a_schema_of_a_later_release_is_refused_by_name() {
    let file = File::fresh().await;
    file.store.close().await;
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (99, 'later', 1, x'00', 0)";
    file.execute(later.into()).await.unwrap();
    let error = Sqlite::open(&file.path).await.unwrap_err();
    assert!(error.to_string().contains("99"), "{error}");
    let changed = "DELETE FROM _sqlx_migrations WHERE version = 99; UPDATE _sqlx_migrations SET checksum = x'00'";
    file.execute(changed.into()).await.unwrap();
    assert_eq!(reason(Sqlite::open(&file.path).await), Reason::Internal);
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_unavailable() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(reason(Sqlite::open(directory.path()).await), Reason::StoreUnavailable);
    assert_eq!(reason(migrate_status(&directory.path().join("none.db")).await), Reason::StoreUnavailable);
    let text = directory.path().join("text.db");
    std::fs::write(&text, "this is no database, whatever its name says".repeat(100)).unwrap();
    assert_eq!(reason(Sqlite::open(&text).await), Reason::Internal);
}

#[tokio::test]
async fn values_that_no_release_wrote_are_reported_not_guessed() {
    let file = File::fresh().await;
    let new = an_execution(&file).await;
    run(&file, &new).await;
    for sql in [
        "UPDATE execution_attempts SET error_type = 'gremlins'",
        "UPDATE executions SET error_type = 'gremlins'",
        "UPDATE executions SET error_type = NULL, price_id = 'no id'",
        "UPDATE executions SET price_id = NULL, top_k = 3000000000",
    ] {
        file.execute(sql.into()).await.unwrap();
        let error = file.store.get(new.project_id, new.id).await.unwrap_err();
        assert_eq!(error.reason(), Reason::Internal, "{sql}");
        assert!(!error.to_string().contains("gremlins"));
    }
    register(&file, put_active("greet", "B")).await;
    file.execute("UPDATE prompts SET tags = '{}'".into()).await.unwrap();
    assert_eq!(reason(file.store.prompt(new.project_id, "greet").await), Reason::Internal);
    assert_eq!(reason(file.store.get(new.project_id, new.id).await), Reason::Internal);
}

#[tokio::test]
async fn a_registration_that_changes_nothing_takes_no_lock() {
    let file = File::with_lock_wait(Duration::from_millis(50)).await;
    let project = file.default_project().await;
    let carried = |text| batch(vec![code("greet", text)]);
    file.store.register_code(project, carried("A")).await.unwrap();
    let other = file.connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    file.store.register_code(project, carried("A")).await.unwrap();
    file.store.register_code(project, RegisterCode { dry_run: true, ..carried("B") }).await.unwrap();
    assert_eq!(reason(file.store.register_code(project, carried("B")).await), Reason::StoreUnavailable);
    other.execute_batch("ROLLBACK").unwrap();
}

#[tokio::test]
async fn writes_that_fail_while_reads_go_well_are_told_until_one_goes_well() {
    let file = File::with_lock_wait(Duration::from_millis(50)).await;
    let new = an_execution(&file).await;
    let other = file.connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    file.store.check_writable().await.unwrap();
    assert_eq!(reason(file.store.start(new.clone(), holder()).await), Reason::StoreUnavailable);
    file.store.revisions(&[]).await.unwrap();
    for _ in 0..2 {
        assert_eq!(reason(file.store.check_writable().await), Reason::StoreUnavailable);
    }
    let revisions = file.store.revisions(&[]).await.unwrap();
    other.execute_batch("COMMIT").unwrap();
    // Recovers by itself: while health is NOT_SERVING no other write may come.
    file.store.check_writable().await.unwrap();
    assert_eq!(file.store.revisions(&[]).await.unwrap(), revisions);
}
