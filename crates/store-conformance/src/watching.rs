//! The reads of watches: events after a cursor, events of a time span, and executions by id.

use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::execution::{Event, Status};
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_store::{Change, EventLog, ExecutionReader, NewExecution};

use crate::kit::{Backend, an_execution, new_id, run, start};

const EVER: Timestamp = Timestamp(4_000_000_000_000_000);

/// An execution that has ended, and one that is running.
async fn two<B: Backend>(backend: &B) -> (NewExecution, NewExecution) {
    let ended = an_execution(backend).await;
    run(backend, &ended).await;
    let running = NewExecution { id: ExecutionId(new_id()), key: None, ..ended.clone() };
    start(backend, &running).await;
    (ended, running)
}

async fn events<B: Backend>(backend: &B, new: &NewExecution) -> Vec<Event> {
    backend.store().events(new.project_id, new.id, 0, 9).await.unwrap()
}

pub async fn what_came_after_a_cursor_is_answered_for_many_at_once<B: Backend>(backend: &B) {
    let (ended, running) = two(backend).await;
    let after = async |cursors: &[(ExecutionId, i64)]| backend.store().events_after(cursors).await.unwrap();
    let unknown = ExecutionId(new_id());
    let all = after(&[(running.id, 0), (unknown, 0), (ended.id, 1)]).await;
    let of =
        |id: ExecutionId| all.iter().filter(|change| change.id == id).map(|change| change.event).collect::<Vec<_>>();
    assert_eq!(of(ended.id), events(backend, &ended).await[1..]);
    assert_eq!(of(running.id), events(backend, &running).await);
    assert_eq!(all.len(), of(ended.id).len() + of(running.id).len());
    assert!(after(&[(ended.id, 9)]).await.is_empty() && after(&[]).await.is_empty());
}

pub async fn what_came_in_a_span_of_time_is_answered_in_its_order<B: Backend>(backend: &B) {
    let before = backend.store().clock().await.unwrap();
    let (ended, running) = two(backend).await;
    let after = backend.store().clock().await.unwrap().after(std::time::Duration::from_micros(1));
    let between = async |start, end, limit| backend.store().events_between(start, end, limit).await.unwrap();
    let all = between(before, after, 99).await;
    let expected: Vec<_> = [events(backend, &ended).await, events(backend, &running).await].concat();
    assert_eq!(all.iter().map(|change| change.event).collect::<Vec<_>>(), expected);
    let last: &Change = all.last().unwrap();
    assert_eq!((last.id, last.event.to), (running.id, Status::Running));
    assert_eq!(between(before, after, 2).await, all[..2]);
    assert_eq!(between(Timestamp(0), before, 9).await, []);
    assert_eq!(between(last.event.at, EVER, 9).await.last(), Some(last), "the start is within");
    assert!(between(before, last.event.at, 9).await.iter().all(|change| change.event.at < last.event.at));
}

pub async fn executions_are_found_by_their_ids<B: Backend>(backend: &B) {
    let (ended, running) = two(backend).await;
    let whole = |id| async move { backend.store().get(ended.project_id, id).await.unwrap() };
    let ids = [running.id, ExecutionId(new_id()), ended.id];
    let mut found = backend.store().whole(&ids, true).await.unwrap();
    found.sort_by_key(|execution| execution.id);
    assert_eq!(found, [whole(ended.id).await, whole(running.id).await]);
    let mut bare = backend.store().whole(&ids, false).await.unwrap();
    bare.sort_by_key(|execution| execution.id);
    found.iter_mut().for_each(|execution| execution.texts = None);
    assert_eq!(bare, found);
}
