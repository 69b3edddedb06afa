//! Cancellation requests.

use std::time::Duration;

use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::execution::Status;
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_store::{Access, Ended, EventLog, ExecutionReader, ExecutionWriter, Leases, Requeue};

use crate::kit::{Backend, claim, fence, finish, get, holder, new_id, queued, reason, running, success, timeline};

pub async fn a_queued_execution_is_canceled_at_once<B: Backend>(backend: &B) {
    let new = queued(backend).await;
    let canceling = backend.store().cancel(new.project_id, new.id, "a mistake").await.unwrap();
    let event = canceling.event.unwrap();
    assert_eq!((event.sequence, event.from, event.to), (2, Some(Status::Queued), Status::Canceled));
    assert_eq!(backend.store().events(new.project_id, new.id, 1, 9).await.unwrap(), [event]);
    let read = get(backend, &new).await;
    assert_eq!(canceling.execution, read);
    assert_eq!((read.status, &*read.cancel_reason, read.failure), (Status::Canceled, "a mistake", None));
    assert_eq!((read.completed_at, read.cancel_requested_at), (Some(event.at), Some(event.at)));
    assert_eq!(claim(backend, &new, 1, holder()).await, None);
    assert_eq!(backend.store().queued(9).await.unwrap().queued, 0);
}

pub async fn a_running_execution_carries_the_wish_of_who_asked_first<B: Backend>(backend: &B) {
    let new = running(backend, holder()).await;
    let canceling = backend.store().cancel(new.project_id, new.id, "first").await.unwrap();
    assert_eq!((canceling.event, canceling.execution.status), (None, Status::Running));
    let again = backend.store().cancel(new.project_id, new.id, "second").await.unwrap();
    assert_eq!(again.execution, canceling.execution);
    assert_eq!(again.execution.cancel_reason, "first");
    assert_eq!(backend.store().canceled_of(&[fence(new.id, 1)]).await.unwrap(), [fence(new.id, 1)]);
    let done = finish(backend, &new, 1, success()).await;
    assert_eq!(done.status, Status::Succeeded, "the answer was already there");
    assert_eq!(backend.store().canceled_of(&[fence(new.id, 1)]).await.unwrap(), []);
}

pub async fn a_requeue_of_a_canceled_execution_ends_it<B: Backend>(backend: &B) {
    for handed_back in [false, true] {
        let new = running(backend, holder()).await;
        backend.request_cancel(new.id).await;
        let requeue = Requeue { ended: Ended::default(), after: Duration::from_secs(5), handed_back };
        let event = backend.store().requeue(fence(new.id, 1), requeue).await.unwrap().unwrap();
        assert_eq!((event.to, event.next_attempt_at, event.error_type), (Status::Canceled, None, None));
        let read = get(backend, &new).await;
        assert_eq!((read.status, read.attempt_log.len()), (Status::Canceled, 1));
        assert_eq!(read.completed_at, Some(event.at));
        assert_eq!(timeline(backend, new.id).await[2..], ["3 running -> canceled (1)"]);
        assert_eq!(claim(backend, &new, 2, holder()).await, None);
    }
}

pub async fn what_has_ended_is_canceled_or_refused<B: Backend>(backend: &B) {
    let new = queued(backend).await;
    let first = backend.store().cancel(new.project_id, new.id, "").await.unwrap();
    let again = backend.store().cancel(new.project_id, new.id, "late").await.unwrap();
    assert_eq!((again.event, again.execution), (None, first.execution));
    let done = running(backend, holder()).await;
    finish(backend, &done, 1, success()).await;
    let before = get(backend, &done).await;
    assert_eq!(reason(backend.store().cancel(done.project_id, done.id, "").await), Reason::ExecutionFinished);
    assert_eq!(get(backend, &done).await, before);
}

pub async fn another_projects_execution_cannot_be_canceled<B: Backend>(backend: &B) {
    let new = queued(backend).await;
    let other = backend.store().create_project(ProjectId(new_id()), "other").await.unwrap();
    assert_eq!(reason(backend.store().cancel(other.id, new.id, "").await), Reason::ExecutionNotFound);
    let unknown = ExecutionId(new_id());
    assert_eq!(reason(backend.store().cancel(new.project_id, unknown, "").await), Reason::ExecutionNotFound);
    assert_eq!(get(backend, &new).await.status, Status::Queued);
}
