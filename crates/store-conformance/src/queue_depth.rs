//! The length of the queue, and the age of its oldest.

use std::time::Duration;

use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_store::{ExecutionReader, ExecutionWriter, NewExecution, Recorded};

use crate::kit::{Backend, an_execution, claim, holder, new_id, queued, submit};

const HOUR: Duration = Duration::from_secs(3_600);

pub async fn the_queue_tells_for_how_long_its_oldest_is_due<B: Backend>(backend: &B) {
    let new = an_execution(backend).await;
    let oldest = async || backend.store().queued(10).await.unwrap().oldest;
    assert_eq!(oldest().await, None);
    let later = NewExecution { id: ExecutionId(new_id()), ..new.clone() };
    backend.store().submit(later.clone(), Duration::from_secs(3_600)).await.unwrap();
    assert_eq!(oldest().await, Some(Duration::ZERO), "it is not due");
    backend.store().submit(new.clone(), Duration::ZERO).await.unwrap();
    let age = oldest().await.unwrap();
    assert!(age > Duration::ZERO && age < Duration::from_secs(60), "{age:?}");
    claim(backend, &new, 1, holder()).await.unwrap();
    claim(backend, &later, 1, holder()).await.unwrap();
    assert_eq!(oldest().await, None);
}

pub async fn the_oldest_is_that_of_all_providers_however_many_are_counted<B: Backend>(backend: &B) {
    let first = queued(backend).await;
    let of = |provider: &str| {
        let model = ModelRef { provider: provider.into(), model_name: "m".into() };
        NewExecution { id: ExecutionId(new_id()), model, ..first.clone() }
    };
    for new in ["azure", "azure", "openai", "vllm"].map(of) {
        submit(backend, &new).await;
    }
    let last = of("vllm");
    let Recorded::New(event) = submit(backend, &last).await else { panic!("it was not recorded") };
    let due = B::timestamp(event.at.0 - i64::try_from(HOUR.as_micros()).unwrap());
    let sql = format!("UPDATE executions SET available_at = {due} WHERE id = '{}'", last.id);
    backend.execute(sql).await.unwrap();
    let counted = backend.store().queued(2).await.unwrap();
    assert_eq!(counted.queued, 2);
    assert!(counted.oldest.is_some_and(|age| age >= HOUR), "{counted:?}");
    backend.store().cancel(last.project_id, last.id, "").await.unwrap();
    assert_eq!(backend.store().queued(2).await.unwrap().oldest, Some(Duration::ZERO), "no other is due");
}

pub async fn the_queue_is_counted_up_to_a_bound<B: Backend>(backend: &B) {
    assert_eq!(backend.store().queued(10).await.unwrap().queued, 0);
    let first = queued(backend).await;
    for _ in 0..3 {
        submit(backend, &NewExecution { id: ExecutionId(new_id()), ..first.clone() }).await;
    }
    claim(backend, &first, 1, holder()).await.unwrap();
    assert_eq!(backend.store().queued(10).await.unwrap().queued, 3);
    assert_eq!(backend.store().queued(2).await.unwrap().queued, 2);
}
