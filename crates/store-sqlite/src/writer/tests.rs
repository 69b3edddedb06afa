//! Who commits, and what ends a batch.

use prompt_ledger_domain::error::Reason;

use super::*;
use crate::LOCK_WAIT;

fn open() -> (tempfile::TempDir, DatabaseFile, Writer) {
    let directory = tempfile::tempdir().unwrap();
    let file = DatabaseFile::new(&directory.path().join("ledger.db"), LOCK_WAIT);
    file.create().unwrap();
    let writer = Writer::start(file.open().unwrap(), file.clone()).unwrap();
    (directory, file, writer)
}

/// The thread that a short write runs in.
async fn runs_in(writer: &Writer) -> thread::ThreadId {
    writer.write_short(|_| Ok(thread::current().id())).await.unwrap()
}

#[tokio::test]
async fn a_short_write_that_finds_nobody_runs_where_it_is_made() {
    let (_directory, _file, writer) = open();
    assert_eq!(runs_in(&writer).await, thread::current().id());
    assert_ne!(writer.write(|_| Ok(thread::current().id())).await.unwrap(), thread::current().id());
    writer.close().await;
    assert_eq!(writer.write_short(|_| Ok(())).await.unwrap_err().reason(), Reason::StoreUnavailable);
}

#[tokio::test]
async fn where_the_disk_is_slow_only_the_writers_thread_waits_for_it() {
    let (_directory, _file, writer) = open();
    writer.shared.state().committer.as_mut().unwrap().last = QUICK;
    assert_ne!(runs_in(&writer).await, thread::current().id());
}

#[tokio::test]
async fn another_process_is_waited_for_by_the_writers_thread() {
    let (_directory, file, writer) = open();
    let other = file.open().unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut waits = std::pin::pin!(runs_in(&writer));
    assert!(futures::poll!(waits.as_mut()).is_pending());
    other.execute_batch("COMMIT").unwrap();
    assert_ne!(waits.await, thread::current().id());
}

#[tokio::test]
async fn a_job_that_panics_takes_its_batch_with_it_and_nothing_else() {
    let (_directory, _file, writer) = open();
    let run = |sql: &'static str| move |connection: &Connection| connection.execute_batch(sql).map_err(error::store);
    writer.write(run("CREATE TABLE revisions (scope, revision)")).await.unwrap();
    let panicked = writer.write(|_: &Connection| -> Result<()> { panic!("a fault of ours") }).await;
    assert_eq!(panicked.unwrap_err().reason(), Reason::StoreUnavailable);
    writer.write(run("INSERT INTO revisions VALUES ('keys', 1)")).await.unwrap();
    writer.check().await.unwrap();
    writer.close().await;
    assert_eq!(writer.check().await.unwrap_err().reason(), Reason::StoreUnavailable);
}

/// A check whose caller leaves tells the next one what it found.
#[tokio::test]
async fn a_failure_is_told_until_a_page_is_written_also_where_a_check_is_given_up() {
    let (_directory, _file, writer) = open();
    let run = |sql: &'static str| move |connection: &Connection| connection.execute_batch(sql).map_err(error::store);
    writer
        .write(run("CREATE TABLE revisions (scope, revision); INSERT INTO revisions VALUES ('keys', 1)"))
        .await
        .unwrap();
    let full = "CREATE TRIGGER full BEFORE UPDATE ON revisions BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    writer.write(run(full)).await.unwrap();
    writer.shared.failing.store(true, Ordering::Release);
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let mut before = std::pin::pin!(writer.write(move |_| Ok(wait.recv().is_err())));
    assert!(futures::poll!(before.as_mut()).is_pending());
    {
        let mut check = std::pin::pin!(writer.check());
        assert!(futures::poll!(check.as_mut()).is_pending());
    }
    drop(go_on);
    before.await.unwrap();
    // Behind it in the queue.
    writer.write(|_| Ok(())).await.unwrap();
    assert!(writer.check().await.is_err(), "it was found, and told to nobody");
    writer.write(run("DROP TRIGGER full")).await.unwrap();
    writer.check().await.unwrap();
    writer.check().await.unwrap();
}
