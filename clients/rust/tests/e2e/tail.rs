//! Watching all executions that match.

use prompt_ledger_client::v1::ExecutionStatus::{Queued, Running, Succeeded};
use prompt_ledger_client::{Tail, TailUpdate, v1};
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::spec;

use super::{client, ledger};

/// The updates up to the first that is enough.
async fn until(tail: &mut Tail, enough: impl Fn(&TailUpdate) -> bool) -> Vec<TailUpdate> {
    let mut updates = Vec::new();
    while !updates.last().is_some_and(&enough) {
        updates.push(tail.next().await.unwrap().unwrap());
    }
    updates
}

fn ends(id: &str) -> impl Fn(&TailUpdate) -> bool {
    move |update| match update {
        TailUpdate::Changed { execution: Some(ended), .. } => ended.execution_id == id,
        TailUpdate::Found { execution, .. } => execution.execution_id == id && execution.completed_at.is_some(),
        _ => false,
    }
}

fn of_greet() -> v1::WatchExecutionsRequest {
    v1::WatchExecutionsRequest { prompt_name: "greet".into(), ..v1::WatchExecutionsRequest::default() }
}

/// Execution and status of each change.
fn short(updates: &[TailUpdate]) -> Vec<(&str, v1::ExecutionStatus)> {
    fn one(update: &TailUpdate) -> Option<(&str, v1::ExecutionStatus)> {
        match update {
            TailUpdate::Changed { change, .. } => Some((&change.execution_id, change.to)),
            TailUpdate::Found { execution, .. } => Some((&execution.execution_id, execution.status())),
            _ => None,
        }
    }
    updates.iter().filter_map(one).collect()
}

#[tokio::test]
async fn what_is_there_is_found_and_what_happens_is_told_of_what_matches() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    ledger.active("greet", "hello").await;
    ledger.active("other", "hello").await;
    let gate = Gate::new();
    model.next(Reply::answer("hi").held(&gate));
    let running = ledger.submit(spec("greet", &[])).await;
    model.wait_for_calls(1).await;
    let mut tail = client(&ledger).tail(of_greet());
    let found = until(&mut tail, |update| *update == TailUpdate::Synced).await;
    assert_eq!(short(&found), [(&*running, Running)]);
    let (other, next) = (ledger.submit(spec("other", &[])).await, ledger.submit(spec("greet", &[])).await);
    let seen = until(&mut tail, ends(&next)).await;
    let seen = short(&seen);
    assert!(seen.iter().all(|(id, _)| *id != other), "{seen:?}");
    assert_eq!(seen, [(&*next, Queued), (&*next, Running), (&*next, Succeeded)]);
    gate.open();
    assert_eq!(short(&until(&mut tail, ends(&running)).await), [(&*running, Succeeded)]);
}

#[tokio::test]
async fn a_server_that_is_killed_costs_no_change_and_repeats_none() {
    let folder = tempfile::tempdir().unwrap();
    let model = FakeModel::start().await;
    let first = ledger(&model).data_dir(folder.path()).start().await;
    first.active("greet", "hello").await;
    let mut tail = client(&first).tail(of_greet());
    until(&mut tail, |update| *update == TailUpdate::Synced).await;
    let before = first.submit(spec("greet", &[])).await;
    until(&mut tail, ends(&before)).await;
    let addr = first.addr.clone();
    first.kill().await;
    // Whether it ends before or after the tail has reconnected, each change is yielded exactly once.
    let second = ledger(&model).data_dir(folder.path()).addr(&addr).start().await;
    let after = second.submit(spec("greet", &[])).await;
    let seen = until(&mut tail, ends(&after)).await;
    assert!(short(&seen).iter().all(|(id, _)| *id == after), "{seen:?}");
}
