//! Watching one execution.

use futures::StreamExt as _;
use prompt_ledger_client::Update;
use prompt_ledger_client::v1::ExecutionStatus::{Failed, Queued, Running, Succeeded};
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::spec;
use prompt_ledger_testkit::watch_record::WatchRecord;

use super::{Read, client, greet, ledger, mortal};

#[tokio::test]
async fn states_and_text_come_as_they_happen_and_the_end_with_the_execution() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    ledger.active("greet", "hello").await;
    let gate = Gate::new();
    model.next(Reply::answer("one two three four").held_after(2, &gate));
    let id = ledger.submit(greet()).await;
    let mut watch = client(&ledger).watch(&id);
    let mut read = Read::default();
    read.until(&mut watch, |read| read.text == "one two ").await;
    gate.open();
    let ended = read.read_out(&mut watch).await;
    assert_eq!((&*ended.execution_id, &*ended.response_text), (&*id, "one two three four"));
    assert_eq!((&*read.text, read.statuses()), ("one two three four", vec![Queued, Running, Succeeded]));
    assert!(read.restarts.is_empty());
}

#[tokio::test]
async fn a_late_watch_and_one_of_an_execution_that_does_not_stream_give_the_whole_text_too() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    ledger.active("greet", "hello").await;
    model.next(Reply::answer("one two"));
    let id = ledger.submit(spec("greet", &[])).await;
    for _ in 0..2 {
        let mut read = Read::default();
        let mut watch = client(&ledger).watch(&id);
        read.read_out(&mut watch).await;
        assert_eq!((&*read.text, read.states.len()), ("one two", 3));
    }
    // The rest as a `Stream`, after the third state.
    let rest: Vec<_> = client(&ledger).watch_after(&id, 3).collect().await;
    assert!(matches!(&rest[..], [Ok(Update::Text { .. }), Ok(Update::Ended(_))]), "{rest:?}");
}

#[tokio::test]
async fn a_failed_execution_is_a_result() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    ledger.active("greet", "hello").await;
    model.next(Reply::status(400, r#"{"error":{"message":"no"}}"#));
    let id = ledger.submit(greet()).await;
    let mut read = Read::default();
    let ended = read.read_out(&mut client(&ledger).watch(&id)).await;
    assert_eq!((ended.status(), &*ended.error_type), (Failed, "invalid_request"));
}

#[tokio::test]
async fn a_server_that_is_killed_in_mid_text_and_started_again_is_not_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    let first = mortal(&model).data_dir(folder.path()).start().await;
    first.active("greet", "hello").await;
    let gate = Gate::new();
    model.next(Reply::answer("one two three").held_after(2, &gate));
    model.next(Reply::answer("uno due tre").held_after(1, &gate));
    let id = first.submit(greet()).await;
    let mut watch = client(&first).watch(&id);
    let mut read = Read::default();
    read.until(&mut watch, |read| read.text == "one two ").await;

    let addr = first.addr.clone();
    first.kill().await;
    let _second = ledger(&model).expects("its holder went away").data_dir(folder.path()).addr(&addr).start().await;
    read.until(&mut watch, |read| read.text == "uno ").await;
    assert_eq!(read.restarts, [2]);
    gate.open();
    let ended = read.read_out(&mut watch).await;
    assert_eq!((ended.attempts, &*ended.response_text), (2, "uno due tre"));
    assert_eq!((&*read.text, read.restarts.len()), ("uno due tre", 1));
    assert_eq!(read.statuses(), [Queued, Running, Queued, Running, Succeeded]);
}

#[tokio::test]
async fn streams_that_reach_their_age_are_one_story() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).env("STREAM_MAX_AGE", "1s").start().await;
    ledger.active("greet", "hello").await;
    let gate = Gate::new();
    model.next(Reply::answer("one two three").held_after(2, &gate));
    let id = ledger.submit(greet()).await;
    let mut watch = client(&ledger).watch(&id);
    let mut read = Read::default();
    read.until(&mut watch, |read| read.text == "one two ").await;
    let reading = tokio::spawn(async move {
        read.read_out(&mut watch).await;
        read
    });
    // Longer than the age of two streams: by then the watch has opened others.
    for _ in 0..2 {
        let mut other = ledger.watch(&id, 0).await.unwrap();
        assert!(WatchRecord::new().read(&mut other, |_| false).await.is_some());
    }
    gate.open();
    let read = reading.await.unwrap();
    assert_eq!((&*read.text, read.statuses()), ("one two three", vec![Queued, Running, Succeeded]));
    assert!(read.restarts.is_empty());
}

#[tokio::test]
async fn a_server_that_drains_hands_its_watches_to_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    let first = ledger(&model).data_dir(folder.path()).env("SHUTDOWN_GRACE", "9s").start().await;
    first.active("greet", "hello").await;
    model.next(Reply::hang());
    model.next(Reply::answer("well"));
    let id = first.submit(greet()).await;
    model.wait_for_calls(1).await;
    let mut watch = client(&first).watch(&id);
    let mut read = Read::default();
    read.until(&mut watch, |read| read.states.len() == 2).await;
    let addr = first.addr.clone();
    assert!(first.terminate().await.status.success());
    let _second = ledger(&model).data_dir(folder.path()).addr(&addr).start().await;
    assert_eq!(read.read_out(&mut watch).await.response_text, "well");
    assert_eq!(read.text, "well");
}
