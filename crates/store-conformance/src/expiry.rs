//! Expired leases and expired executions.

use std::time::Duration;

use prompt_ledger_domain::execution::{ErrorType, Status};
use prompt_ledger_store::{Change, Ended, EventLog, ExecutionWriter, Leases, Maintenance, NewExecution, Requeue};

use crate::kit::{
    Backend, an_execution, claim, dead, fence, get, holder, providers, queued, running, submit, timeline,
};

async fn expire<B: Backend>(backend: &B) -> Vec<Change> {
    backend.store().expire(Duration::ZERO).await.unwrap()
}

pub async fn an_async_execution_whose_holder_died_goes_back_into_the_queue<B: Backend>(backend: &B) {
    let new = running(backend, dead()).await;
    let changes = expire(backend).await;
    assert_eq!(changes.len(), 1);
    let (id, event) = (changes[0].id, changes[0].event);
    assert_eq!((id, event.to, event.error_type), (new.id, Status::Queued, Some(ErrorType::Interrupted)));
    assert_eq!(backend.store().events(new.project_id, new.id, 2, 9).await.unwrap(), [event]);
    assert_eq!(expire(backend).await, []);
    let read = get(backend, &new).await;
    assert_eq!((read.status, read.completed_at, read.failure), (Status::Queued, None, None));
    assert_eq!(read.attempt_log[0].error_type, Some(ErrorType::Interrupted));
    let again = backend.store().claim_due(9, providers(), holder()).await.unwrap();
    assert_eq!(again[0].fence, fence(new.id, 2), "it is looked at now");
    assert_eq!(backend.store().finish(fence(new.id, 1), crate::kit::success()).await.unwrap(), None);
    let steps = ["3 running -> queued (1) interrupted", "4 queued -> running (2)"];
    assert_eq!(timeline(backend, new.id).await[2..], steps);
}

pub async fn lost_leases_count_against_the_retries<B: Backend>(backend: &B) {
    let new = NewExecution { max_retries: 1, ..an_execution(backend).await };
    submit(backend, &new).await;
    claim(backend, &new, 1, holder()).await.unwrap();
    let back = Requeue { ended: Ended::default(), after: Duration::ZERO, handed_back: true };
    backend.store().requeue(fence(new.id, 1), back).await.unwrap().unwrap();
    for (attempt, status) in [(2, Status::Queued), (3, Status::Failed)] {
        claim(backend, &new, attempt, dead()).await.unwrap();
        assert_eq!(expire(backend).await[0].event.to, status);
    }
    let read = get(backend, &new).await;
    assert_eq!((read.status, read.failure.unwrap().error_type), (Status::Failed, ErrorType::Interrupted));
    assert_eq!((read.attempts, read.attempt_log.len()), (3, 3));
    assert_eq!(claim(backend, &new, 4, holder()).await, None);
}

pub async fn a_canceled_execution_whose_holder_died_ends_canceled<B: Backend>(backend: &B) {
    let new = running(backend, dead()).await;
    backend.request_cancel(new.id).await;
    assert_eq!(expire(backend).await[0].event.to, Status::Canceled);
    let read = get(backend, &new).await;
    assert_eq!((read.status, read.failure, read.attempt_log.len()), (Status::Canceled, None, 1));
}

pub async fn a_queued_execution_past_its_life_expires<B: Backend>(backend: &B) {
    let short = NewExecution { expire_after: Some(Duration::from_micros(1)), ..an_execution(backend).await };
    submit(backend, &short).await;
    let long = queued(backend).await;
    let changes = expire(backend).await;
    assert_eq!((changes.len(), changes[0].id), (1, short.id));
    let read = get(backend, &short).await;
    assert_eq!((read.status, read.failure.unwrap().error_type), (Status::Failed, ErrorType::Expired));
    assert_eq!((read.attempts, read.attempt_log.len(), read.started_at), (0, 0, None));
    assert_eq!(timeline(backend, short.id).await, ["1 -> queued (0)", "2 queued -> failed (0) expired"]);
    assert_eq!(claim(backend, &short, 1, holder()).await, None);
    assert_eq!(get(backend, &long).await.status, Status::Queued);
}

pub async fn a_running_execution_past_its_life_expires_with_its_lease_only<B: Backend>(backend: &B) {
    let short =
        NewExecution { expire_after: Some(Duration::from_micros(1)), max_retries: 3, ..an_execution(backend).await };
    submit(backend, &short).await;
    let claimed = claim(backend, &short, 1, holder()).await.unwrap();
    assert_eq!(claimed.expires_in, Some(Duration::ZERO));
    assert_eq!(expire(backend).await, [], "its holder ends it");
    backend.store().extend(&[fence(short.id, 1)], Duration::ZERO).await.unwrap();
    let event = expire(backend).await[0].event;
    assert_eq!((event.to, event.error_type), (Status::Failed, Some(ErrorType::Expired)));
    assert_eq!(get(backend, &short).await.attempt_log[0].error_type, Some(ErrorType::Interrupted));
}

pub async fn a_young_database_expires_nothing<B: Backend>(backend: &B) {
    let new = running(backend, dead()).await;
    let century = Duration::from_secs(100 * 365 * 24 * 3_600);
    assert_eq!(backend.expired_in_youth(century).await, B::YOUTH.then_some(0));
    assert_eq!(get(backend, &new).await.status, if B::YOUTH { Status::Running } else { Status::Queued });
}
