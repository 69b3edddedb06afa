//! Executions that repeat a failed one under its idempotency key.

use std::time::Duration;

use futures::future::join_all;
use prompt_ledger_domain::execution::{ErrorType, Failure, Status};
use prompt_ledger_store::{Ended, ExecutionReader, ExecutionWriter, Finish, NewExecution, Recorded, Registry};

use crate::kit::{
    Backend, a_new_execution, an_execution, claim, fence, finish, get, holder, key, put_active, register, start,
    submit, success, timeline,
};

fn failure() -> Finish {
    let ended = Ended { error_type: Some(ErrorType::Timeout), ..success().ended };
    let failure = Some(Failure { error_type: ErrorType::Timeout, message: "too slow".into() });
    Finish { status: Status::Failed, ended, response: String::new(), failure, ..success() }
}

/// An execution with the key `k` that has failed.
async fn failed<B: Backend>(backend: &B) -> NewExecution {
    let new = NewExecution { key: key("k", 1), ..an_execution(backend).await };
    start(backend, &new).await;
    finish(backend, &new, 1, failure()).await;
    new
}

/// Another execution that repeats this one.
fn retry(of: &NewExecution) -> NewExecution {
    NewExecution { retry_of: Some(of.id), ..a_new_execution(of) }
}

pub async fn a_failed_execution_is_repeated_under_its_key<B: Backend>(backend: &B) {
    let store = backend.store();
    let first = failed(backend).await;
    let before = get(backend, &first).await;
    let second = retry(&first);
    start(backend, &second).await;
    let running = get(backend, &second).await;
    assert_eq!((running.retry_of, &*running.idempotency_key, running.status), (Some(first.id), "k", Status::Running));
    let found = store.by_key(first.prompt_id, "k").await.unwrap().unwrap();
    assert_eq!((found.id, found.status, found.request_hash), (second.id, Status::Running, [1; 32]));
    // Of the failed one nothing else has changed.
    let after = get(backend, &first).await;
    assert_eq!(after.idempotency_key, "");
    assert_eq!(prompt_ledger_domain::execution::Execution { idempotency_key: "k".into(), ..after }, before);
    assert_eq!(timeline(backend, first.id).await, ["1 -> running (1)", "2 running -> failed (1) timeout"]);
    // One that failed again is repeated again, from the queue too.
    finish(backend, &second, 1, failure()).await;
    let third = retry(&second);
    assert!(matches!(submit(backend, &third).await, Recorded::New(_)));
    claim(backend, &third, 1, holder()).await.unwrap();
    let done = finish(backend, &third, 1, success()).await;
    assert_eq!((done.retry_of, &*done.idempotency_key, done.status), (Some(second.id), "k", Status::Succeeded));
    let found = store.by_key(first.prompt_id, "k").await.unwrap().unwrap();
    assert_eq!((found.id, found.status), (third.id, Status::Succeeded));
}

pub async fn a_repeat_that_is_recorded_twice_is_recorded_once<B: Backend>(backend: &B) {
    let first = failed(backend).await;
    let second = retry(&first);
    let event = backend.store().submit(second.clone(), Duration::ZERO).await.unwrap();
    assert!(matches!(event, Recorded::New(_)));
    // Its answer was lost: the same id comes again.
    assert_eq!(backend.store().submit(second.clone(), Duration::ZERO).await.unwrap(), event);
    assert_eq!(backend.count("SELECT count(*) FROM executions").await, 2);
    assert_eq!(backend.count("SELECT count(*) FROM execution_events").await, 3);
}

pub async fn what_has_not_failed_is_not_repeated<B: Backend>(backend: &B) {
    let store = backend.store();
    let first = NewExecution { key: key("k", 1), ..an_execution(backend).await };
    start(backend, &first).await;
    let existing = async |status| {
        let recorded = store.start(retry(&first), holder()).await.unwrap();
        let Recorded::Existing(holder) = recorded else { panic!("{recorded:?}") };
        assert_eq!((holder.id, holder.status), (first.id, status));
        assert_eq!(get(backend, &first).await.idempotency_key, "k");
    };
    existing(Status::Running).await;
    finish(backend, &first, 1, success()).await;
    existing(Status::Succeeded).await;
    // Nor a failed one by another key or another request.
    let second = NewExecution { key: key("l", 1), ..a_new_execution(&first) };
    start(backend, &second).await;
    finish(backend, &second, 1, failure()).await;
    for other in [key("k", 1), key("l", 2)] {
        let recorded = store.start(NewExecution { key: other, ..retry(&second) }, holder()).await.unwrap();
        assert!(matches!(recorded, Recorded::Existing(_)), "{recorded:?}");
        assert_eq!(get(backend, &second).await.idempotency_key, "l");
    }
}

pub async fn a_repeat_that_is_stale_leaves_the_key_where_it_is<B: Backend>(backend: &B) {
    let first = failed(backend).await;
    register(backend, put_active("greet", "Hello {{user.name}}")).await;
    for _ in 0..2 {
        let stale = retry(&first);
        assert_eq!(backend.store().start(stale.clone(), holder()).await.unwrap(), Recorded::Stale);
        assert_eq!(get(backend, &first).await.idempotency_key, "k");
        let found = backend.store().by_key(first.prompt_id, "k").await.unwrap().unwrap();
        assert_eq!((found.id, found.request_hash), (first.id, [1; 32]));
    }
    let version = backend.store().prompt(first.project_id, "greet").await.unwrap().active.unwrap();
    let fresh = NewExecution { version_id: version.id, ..retry(&first) };
    start(backend, &fresh).await;
    assert_eq!(get(backend, &fresh).await.retry_of, Some(first.id));
}

pub async fn thirty_two_racing_repeats_record_one<B: Backend>(backend: &B) {
    let first = failed(backend).await;
    let race = |i: usize| {
        // Callers that do not ask for a repeat are among them.
        let new = if i.is_multiple_of(4) { a_new_execution(&first) } else { retry(&first) };
        async move {
            let recorded = match i % 2 {
                0 => backend.store().start(new.clone(), holder()).await,
                _ => backend.store().submit(new.clone(), Duration::from_secs(60)).await,
            };
            (new.id, recorded.unwrap())
        }
    };
    let results = join_all((0..32).map(race)).await;
    let made: Vec<_> = results.iter().filter(|(_, got)| matches!(got, Recorded::New(_))).map(|(id, _)| *id).collect();
    assert_eq!(made.len(), 1, "{results:?}");
    for (_, got) in &results {
        let holder = match got {
            Recorded::Existing(holder) => holder.id,
            _ => continue,
        };
        assert!([first.id, made[0]].contains(&holder), "{got:?}");
    }
    assert!(results.iter().all(|(_, got)| *got != Recorded::Stale), "{results:?}");
    assert_eq!(backend.count("SELECT count(*) FROM executions").await, 2);
    assert_eq!(backend.store().by_key(first.prompt_id, "k").await.unwrap().unwrap().id, made[0]);
    assert_eq!(get(backend, &first).await.idempotency_key, "");
    let event = backend.store().finish(fence(first.id, 1), success()).await.unwrap();
    assert_eq!(event, None, "a failed one stays as it ended");
}
