//! What an answer tells besides its text.

use std::time::Duration;

use prompt_ledger_domain::capabilities::ModelCapabilities;
use prompt_ledger_domain::execution::{CallTimeout, ErrorType, Status};
use prompt_ledger_domain::model::{ModelRef, Price, Usage};
use prompt_ledger_store::{
    Ended, ExecutionWriter, Finish, Holder, Leases, Maintenance, Models, NewExecution, NewPrice, PutModel, Requeue,
};

use crate::kit::{
    Backend, a_new_execution, an_execution, claim, dead, fence, get, holder, new_price, start, submit, success, usage,
};

async fn a_price<B: Backend>(backend: &B) -> Price {
    let id = ModelRef { provider: "local".into(), model_name: "llama".into() };
    let price = NewPrice {
        cache_write_5m: Some(2_500_000),
        cache_write_1h: Some(4_000_000),
        ..new_price(2_000_000, 3_000_000)
    };
    let put = PutModel {
        id,
        max_tokens: None,
        supports_streaming: None,
        capabilities: ModelCapabilities::default(),
        price: Some(price),
    };
    backend.store().put_model(put).await.unwrap().prices.remove(0)
}

/// An attempt that failed after it had used these tokens, 20 of them written to the cache for 5 minutes, 30 for an hour.
fn failed() -> (Ended, Usage) {
    let usage = Usage { cache_write_5m_tokens: Some(20), cache_write_1h_tokens: Some(30), ..usage(100, 10, 5) };
    (Ended { error_type: Some(ErrorType::Timeout), usage, ..Ended::default() }, usage)
}

pub async fn what_is_written_to_the_cache_is_paid_whoever_ends_the_execution<B: Backend>(backend: &B) {
    let (store, price, (ended, used)) = (backend.store(), a_price(backend).await, failed());
    let first = NewExecution { price_id: Some(price.id), max_retries: 3, ..an_execution(backend).await };
    let back = || Requeue { ended: ended.clone(), after: Duration::ZERO, handed_back: false };
    let queued_again = async |holder: Holder| {
        let new = a_new_execution(&first);
        submit(backend, &new).await;
        claim(backend, &new, 1, holder).await.unwrap();
        new
    };

    // By a cancellation that was asked for before the attempt ended.
    let asked = queued_again(holder()).await;
    backend.request_cancel(asked.id).await;
    store.requeue(fence(asked.id, 1), back()).await.unwrap().unwrap();
    // By one while it waits for its next attempt.
    let waiting = queued_again(holder()).await;
    store.requeue(fence(waiting.id, 1), back()).await.unwrap().unwrap();
    store.cancel(waiting.project_id, waiting.id, "").await.unwrap();
    // By the end of its lease.
    let lost = a_new_execution(&first);
    start(backend, &lost).await;
    store.retry(fence(lost.id, 1), ended.clone(), Duration::ZERO, dead()).await.unwrap().unwrap();
    store.extend(&[fence(lost.id, 2)], Duration::ZERO).await.unwrap();
    store.expire(Duration::ZERO).await.unwrap();

    let expected = used.cost(&price);
    assert!(expected.is_some_and(|cost| Some(cost) != usage(100, 10, 5).cost(&price)), "{expected:?}");
    for (new, status) in [(&asked, Status::Canceled), (&waiting, Status::Canceled), (&lost, Status::Failed)] {
        let done = get(backend, new).await;
        assert_eq!((done.status, done.usage, done.cost_nano_usd), (status, used, expected));
    }
}

pub async fn the_last_answers_model_and_each_attempts_requests_are_told<B: Backend>(backend: &B) {
    let new = NewExecution { max_retries: 9, ..an_execution(backend).await };
    let second = Some(Duration::from_secs(1));
    let ended = |response_model: &str, requests, latency| Ended {
        error_type: Some(ErrorType::Timeout),
        response_model: response_model.into(),
        requests,
        latency,
        ..Ended::default()
    };
    let told = async || {
        let execution = get(backend, &new).await;
        (execution.response_model, execution.attempt_log.iter().map(|attempt| attempt.requests).collect::<Vec<_>>())
    };
    start(backend, &new).await;
    assert_eq!(told().await, (String::new(), vec![]));
    // Within the call.
    for (attempt, ended) in
        [(1, ended("small-1", 2, second)), (2, ended("", 0, None)), (3, ended("small-2", 1, second))]
    {
        let (store, after) = (backend.store(), Duration::ZERO);
        store.retry(fence(new.id, attempt), ended, after, holder()).await.unwrap().unwrap();
    }
    assert_eq!(told().await, ("small-2".into(), vec![2, 0, 1]));
    let finish = Finish { ended: Ended { error_type: None, ..ended("small-3", 2, second) }, ..success() };
    let done = crate::kit::finish(backend, &new, 4, finish).await;
    assert_eq!((&*done.response_model, done.attempt_log[3].requests), ("small-3", 2));

    // Through the queue, and lost with its worker.
    let new = a_new_execution(&new);
    submit(backend, &new).await;
    claim(backend, &new, 1, holder()).await.unwrap();
    let requeue = Requeue { ended: ended("small-4", 2, second), after: Duration::ZERO, handed_back: false };
    backend.store().requeue(fence(new.id, 1), requeue).await.unwrap().unwrap();
    assert_eq!(get(backend, &new).await.response_model, "small-4");
    claim(backend, &new, 2, dead()).await.unwrap();
    backend.store().expire(Duration::ZERO).await.unwrap();
    let lost = get(backend, &new).await;
    assert_eq!((&*lost.response_model, lost.attempt_log.len(), lost.attempt_log[1].requests), ("", 2, 0));
}

pub async fn a_timeout_is_told_as_it_was_asked_for<B: Backend>(backend: &B) {
    let first = an_execution(backend).await;
    for timeout in [
        CallTimeout::default(),
        CallTimeout::asked(CallTimeout::default().limit()),
        CallTimeout::asked(Duration::from_micros(1)),
        CallTimeout::asked(Duration::from_secs(3_600)),
    ] {
        let new = NewExecution { timeout, ..a_new_execution(&first) };
        submit(backend, &new).await;
        assert_eq!(claim(backend, &new, 1, holder()).await.unwrap().timeout, timeout);
        assert_eq!(get(backend, &new).await.timeout, timeout);
    }
}
