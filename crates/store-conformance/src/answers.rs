//! What an answer tells besides its text.

use std::time::Duration;

use prompt_ledger_domain::execution::{ErrorType, Status};
use prompt_ledger_domain::model::{ModelRef, Price, Usage};
use prompt_ledger_store::{
    Ended, ExecutionReader, ExecutionWriter, Holder, Leases, Maintenance, Models, NewExecution, PutModel, Requeue,
};

use crate::kit::{
    Backend, a_new_execution, an_execution, claim, dead, fence, get, holder, new_price, start, submit, usage,
};

async fn a_price<B: Backend>(backend: &B) -> Price {
    let id = ModelRef { provider: "local".into(), model_name: "llama".into() };
    let put = PutModel { id, max_tokens: None, supports_streaming: None, price: Some(new_price(2_000_000, 3_000_000)) };
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
