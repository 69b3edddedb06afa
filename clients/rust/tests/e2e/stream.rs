//! Executing and watching in one call.

use prompt_ledger_client::v1::ExecutionStatus::{Failed, Running, Succeeded};
use prompt_ledger_client::{WatchError, v1};
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::carried;

use super::{Read, client, greet, ledger, mortal};

fn keyed() -> v1::ExecutionSpec {
    v1::ExecutionSpec { idempotency_key: "order-1".into(), ..greet() }
}

#[tokio::test]
async fn what_is_begun_is_watched_and_what_exists_is_joined() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    ledger.active("greet", "hello").await;
    model.next(Reply::answer("one two"));
    for (spec, joined) in [(greet(), 0), (keyed(), 0), (keyed(), 1)] {
        model.next(Reply::answer("one two"));
        let mut read = Read::default();
        let ended = read.read_out(&mut client(&ledger).stream(spec)).await;
        assert_eq!((ended.status(), &*ended.response_text), (Succeeded, "one two"));
        assert_eq!((&*read.text, read.joined, read.statuses()), ("one two", joined, vec![Running, Succeeded]));
    }
    assert_eq!(model.calls(), 2);
}

#[tokio::test]
async fn with_a_key_a_broken_call_is_gone_on_with_by_watching() {
    let folder = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    let first = mortal(&model).data_dir(folder.path()).start().await;
    first.active("greet", "hello").await;
    model.next(Reply::answer("one two").held_after(1, &Gate::new()));
    let mut watch = client(&first).stream(keyed());
    let mut read = Read::default();
    read.until(&mut watch, |read| read.text == "one ").await;
    let addr = first.addr.clone();
    first.kill().await;
    let _second = ledger(&model)
        .expects("its holder went away")
        .expects("execution ended")
        .data_dir(folder.path())
        .addr(&addr)
        .start()
        .await;
    // An inline call of a crashed server is failed, not repeated.
    let ended = read.read_out(&mut watch).await;
    assert_eq!((ended.status(), &*ended.error_type), (Failed, "interrupted"));
    assert_eq!((&*read.text, read.statuses()), ("one ", vec![Running, Failed]));
    assert_eq!(model.calls(), 1);
}

#[tokio::test]
async fn without_a_key_a_broken_call_is_an_error_and_a_dropped_one_a_cancel() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    ledger.active("greet", "hello").await;
    let reply = || Reply::answer("one two").held_after(1, &Gate::new());
    model.next(reply());
    model.next(reply());
    let mut read = Read::default();
    let mut dropped = client(&ledger).stream(greet());
    read.until(&mut dropped, |read| read.text == "one ").await;
    drop(dropped);
    model.wait_for_aborts(1).await;

    let mut read = Read::default();
    let mut watch = client(&ledger).stream(greet());
    read.until(&mut watch, |read| read.text == "one ").await;
    ledger.kill().await;
    let error = watch.next().await.unwrap().unwrap_err();
    assert!(matches!(error, WatchError::NotResumable(_)), "{error:?}");
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn what_keeps_it_from_being_recorded_is_told_at_once() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    for spec in [greet(), keyed()] {
        let error = client(&ledger).stream(spec).next().await.unwrap().unwrap_err();
        assert_eq!(error.reason().as_deref(), Some("PROMPT_NOT_FOUND"), "{error:?}");
    }
}

#[tokio::test]
async fn a_prompt_whose_text_lives_in_code_is_streamed_too() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    ledger.carry(vec![carried("greet", "hello")]).await;
    model.next(Reply::answer("one two"));
    let mut read = Read::default();
    let ended = read.read_out(&mut client(&ledger).stream_code(greet())).await;
    assert_eq!((ended.prompt_mode(), &*read.text), (v1::PromptMode::Tracking, "one two"));
    let refused = client(&ledger).stream(greet()).next().await.unwrap().unwrap_err();
    assert_eq!(refused.reason().as_deref(), Some("MODE_MISMATCH"));
}
