//! Attempts, fences and leases.

use std::time::Duration;

use prompt_ledger_domain::capabilities::ModelCapabilities;
use prompt_ledger_domain::execution::{ErrorType, Status};
use prompt_ledger_domain::ids::{ExecutionId, PriceId};
use prompt_ledger_domain::model::{ModelRef, Usage};
use prompt_ledger_store::{
    Ended, EventLog, ExecutionReader, ExecutionWriter, Fence, Held, Holder, Leases, Maintenance, Models, NewExecution,
    NewPrice, PutModel, Recorded, Requeue,
};

use crate::kit::{
    Backend, an_execution, dead, fence, finish, get, holder, new_id, new_price, run, start, success, timeline, usage,
};

const SOON: Duration = Duration::from_secs(5);

fn timed_out(usage: Usage) -> Ended {
    Ended {
        error_type: Some(ErrorType::Timeout),
        error_message: "too slow".into(),
        provider_request_id: "req-0".into(),
        response_model: "echo-2024".into(),
        requests: 2,
        usage,
        latency: Some(Duration::from_millis(100)),
    }
}

/// The id of a price of two dollars per million tokens, of any kind.
async fn a_price<B: Backend>(backend: &B) -> Option<PriceId> {
    let id = ModelRef { provider: "local".into(), model_name: "llama".into() };
    let price = NewPrice { cached_input: None, ..new_price(2_000_000, 2_000_000) };
    let put = PutModel {
        id,
        max_tokens: None,
        supports_streaming: None,
        capabilities: ModelCapabilities::default(),
        price: Some(price),
    };
    backend.store().put_model(put).await.unwrap().prices.first().map(|price| price.id)
}

pub async fn a_retry_begins_the_next_attempt<B: Backend>(backend: &B) {
    let new = an_execution(backend).await;
    start(backend, &new).await;
    let next_holder = Holder { worker: "server-2".into(), ..holder() };
    let retried = backend.store().retry(fence(new.id, 1), timed_out(usage(1, 0, 0)), SOON, next_holder).await.unwrap();
    assert_eq!(retried.map(|event| (event.sequence, event.to)), Some((2, Status::Running)));
    let running = backend.store().get(new.project_id, new.id).await.unwrap();
    assert_eq!((running.status, running.attempts, running.completed_at), (Status::Running, 2, None));
    assert_eq!(running.attempt_log.len(), 1);
    let event = backend.store().events(new.project_id, new.id, 1, 9).await.unwrap()[0];
    assert_eq!(retried, Some(event), "the answer is what is stored");
    assert_eq!((event.attempt, event.error_type), (1, Some(ErrorType::Timeout)));
    assert_eq!(event.next_attempt_at, Some(event.at.after(SOON)));

    let done = finish(backend, &new, 2, success()).await;
    let log: Vec<_> = done.attempt_log.iter().map(|a| (a.number, &*a.worker, &*a.provider_request_id)).collect();
    assert_eq!(log, [(1, "server-1", "req-0"), (2, "server-2", "req-1")]);
    assert!(done.attempt_log[1].started_at >= done.attempt_log[0].ended_at);
    let expected = ["1 -> running (1)", "2 running -> running (1) timeout", "3 running -> succeeded (2)"];
    assert_eq!(timeline(backend, new.id).await, expected);
}

pub async fn usage_adds_up_over_attempts<B: Backend>(backend: &B) {
    let new = an_execution(backend).await;
    start(backend, &new).await;
    let writing = Usage { cache_write_5m_tokens: Some(3), cache_write_1h_tokens: Some(4), ..usage(i32::MAX, 1, 1) };
    let parts = [Usage { prompt_tokens: Some(7), ..Usage::default() }, Usage::default(), writing, writing];
    for (part, attempt) in parts.into_iter().zip(1..) {
        backend.store().retry(fence(new.id, attempt), timed_out(part), SOON, holder()).await.unwrap();
        let sums = backend.store().get(new.project_id, new.id).await.unwrap().usage;
        let expected = parts[..usize::try_from(attempt).unwrap()].iter().fold(Usage::default(), |a, b| a.plus(*b));
        assert_eq!(sums, expected);
    }
    let ended = Ended { latency: None, ..Ended::default() };
    let done = finish(backend, &new, 5, prompt_ledger_store::Finish { ended, ..success() }).await;
    let sums = Usage { cache_write_5m_tokens: Some(6), cache_write_1h_tokens: Some(8), ..usage(i32::MAX, 2, 2) };
    assert_eq!((done.usage, done.latency_ms), (sums, Some(100)));
    assert_eq!(done.attempt_log.iter().map(|attempt| attempt.usage).collect::<Vec<_>>()[..4], parts);
}

pub async fn a_retry_of_a_canceled_execution_ends_it<B: Backend>(backend: &B) {
    let new = NewExecution { price_id: a_price(backend).await, ..an_execution(backend).await };
    start(backend, &new).await;
    backend.request_cancel(new.id).await;
    let retried = backend.store().retry(fence(new.id, 1), timed_out(usage(3, 0, 2)), SOON, holder()).await.unwrap();
    let read = backend.store().get(new.project_id, new.id).await.unwrap();
    let event = retried.unwrap();
    assert_eq!((event.to, event.attempt, event.error_type, event.next_attempt_at), (Status::Canceled, 1, None, None));
    assert_eq!((read.status, read.attempts, read.failure.clone()), (Status::Canceled, 1, None));
    assert_eq!((read.usage, read.cost_nano_usd), (usage(3, 0, 2), Some(10)));
    assert!(read.completed_at.is_some() && read.cancel_requested_at.is_some());
    assert_eq!(timeline(backend, new.id).await[1..], ["2 running -> canceled (1)"]);
}

pub async fn a_zombies_write_touches_nothing<B: Backend>(backend: &B) {
    let store = backend.store();
    let new = an_execution(backend).await;
    start(backend, &new).await;
    store.retry(fence(new.id, 1), timed_out(usage(1, 0, 0)), SOON, holder()).await.unwrap();
    let before = store.get(new.project_id, new.id).await.unwrap();
    for zombie in [fence(new.id, 1), fence(new.id, 3)] {
        assert_eq!(store.finish(zombie, success()).await.unwrap(), None);
        assert_eq!(store.retry(zombie, timed_out(usage(1, 0, 0)), SOON, holder()).await.unwrap(), None);
        let requeue = Requeue { ended: timed_out(usage(1, 0, 0)), after: SOON, handed_back: true };
        assert_eq!(store.requeue(zombie, requeue).await.unwrap(), None);
        assert_eq!(store.extend(&[zombie], SOON).await.unwrap(), []);
        assert_eq!(get(backend, &new).await, before, "what stands was written by another");
    }
    let done = finish(backend, &new, 2, success()).await;
    assert_eq!(store.finish(fence(new.id, 2), success()).await.unwrap(), None, "an end is final");
    assert_eq!(get(backend, &new).await, done);
    assert_eq!(timeline(backend, new.id).await.len(), 3);
}

pub async fn an_unknown_execution_cannot_be_finished<B: Backend>(backend: &B) {
    let unknown = fence(ExecutionId(new_id()), 1);
    assert_eq!(backend.store().finish(unknown, success()).await.unwrap(), None);
    assert_eq!(backend.store().retry(unknown, Ended::default(), SOON, holder()).await.unwrap(), None);
}

pub async fn extending_answers_what_is_still_held<B: Backend>(backend: &B) {
    let first = an_execution(backend).await;
    let [running, canceled, finished] = [(); 3].map(|()| NewExecution { id: ExecutionId(new_id()), ..first.clone() });
    start(backend, &running).await;
    start(backend, &canceled).await;
    run(backend, &finished).await;
    backend.request_cancel(canceled.id).await;
    let asked: Vec<Fence> = [&running, &canceled, &finished].map(|new| fence(new.id, 1)).to_vec();
    let mut held = backend.store().extend(&asked, SOON).await.unwrap();
    held.sort_by_key(|held| held.fence.id);
    assert_eq!(
        held,
        [
            Held { fence: fence(running.id, 1), cancel_requested: false },
            Held { fence: fence(canceled.id, 1), cancel_requested: true },
        ]
    );
    assert_eq!(backend.store().extend(&[], SOON).await.unwrap(), []);
    assert_eq!(backend.store().canceled_of(&asked).await.unwrap(), [fence(canceled.id, 1)]);
    assert_eq!(backend.store().canceled_of(&[fence(canceled.id, 2)]).await.unwrap(), []);
    backend.store().extend(&asked, Duration::ZERO).await.unwrap();
    assert_eq!(backend.store().expire(Duration::ZERO).await.unwrap().len(), 2, "the new end is what counts");
}

pub async fn a_lease_of_zero_expires_at_once<B: Backend>(backend: &B) {
    let new = an_execution(backend).await;
    assert!(matches!(backend.store().start(new.clone(), dead()).await.unwrap(), Recorded::New(_)));
    assert_eq!(expired(backend).await, [new.id]);
    assert_eq!(expired(backend).await, []);
    let read = backend.store().get(new.project_id, new.id).await.unwrap();
    assert_eq!((read.status, read.failure.unwrap().error_type), (Status::Failed, ErrorType::Interrupted));
    assert_eq!(read.attempt_log[0].error_type, Some(ErrorType::Interrupted));
    assert!(read.completed_at.is_some());
    assert_eq!(timeline(backend, new.id).await[1..], ["2 running -> failed (1) interrupted"]);
    assert_eq!(backend.store().finish(fence(new.id, 1), success()).await.unwrap(), None);
    assert_eq!(get(backend, &new).await.texts.unwrap().response, "");
}

pub async fn a_canceled_execution_expires_as_canceled<B: Backend>(backend: &B) {
    let new = an_execution(backend).await;
    backend.store().start(new.clone(), dead()).await.unwrap();
    backend.request_cancel(new.id).await;
    assert_eq!(expired(backend).await, [new.id]);
    let read = backend.store().get(new.project_id, new.id).await.unwrap();
    assert_eq!((read.status, read.failure), (Status::Canceled, None));
    assert_eq!(timeline(backend, new.id).await[1..], ["2 running -> canceled (1)"]);
}

pub async fn what_an_expired_execution_had_used_is_paid<B: Backend>(backend: &B) {
    let new = NewExecution { price_id: a_price(backend).await, ..an_execution(backend).await };
    start(backend, &new).await;
    backend.store().retry(fence(new.id, 1), timed_out(usage(30, 0, 20)), SOON, dead()).await.unwrap();
    assert_eq!(expired(backend).await, [new.id]);
    let read = backend.store().get(new.project_id, new.id).await.unwrap();
    assert_eq!((read.attempt_log.len(), read.cost_nano_usd), (2, Some(100)));
}

pub async fn a_held_execution_does_not_expire<B: Backend>(backend: &B) {
    let new = an_execution(backend).await;
    start(backend, &new).await;
    assert_eq!(expired(backend).await, []);
}

async fn expired<B: Backend>(backend: &B) -> Vec<ExecutionId> {
    backend.store().expire(Duration::ZERO).await.unwrap().into_iter().map(|change| change.id).collect()
}
