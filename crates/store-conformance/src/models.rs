//! Models and their prices.

use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::capabilities::ModelCapabilities;
use prompt_ledger_domain::model::{Model, ModelRef};
use prompt_ledger_store::{Models, NewPrice, PutModel, Registry};

use crate::kit::{Backend, in_turn, new_price, now};

fn of(provider: &str, model: &str) -> ModelRef {
    ModelRef { provider: provider.into(), model_name: model.into() }
}

fn put() -> PutModel {
    PutModel {
        id: of("local", "llama"),
        max_tokens: None,
        supports_streaming: None,
        capabilities: ModelCapabilities::default(),
        price: None,
    }
}

fn price(input: i64, valid_from: Option<i64>) -> Option<NewPrice> {
    Some(NewPrice { valid_from: valid_from.map(Timestamp), ..new_price(input, 2 * input) })
}

async fn put_price<B: Backend>(backend: &B, input: i64, valid_from: Option<i64>) -> Model {
    backend.store().put_model(PutModel { price: price(input, valid_from), ..put() }).await.unwrap()
}

fn input(model: &Model) -> Option<i64> {
    model.price_at(now()).map(|price| price.input)
}

pub async fn a_new_ledger_knows_models_and_their_prices<B: Backend>(backend: &B) {
    let known = async |provider, model| backend.store().model(&of(provider, model)).await.unwrap();
    let echo = known("echo", "echo").await.unwrap();
    let free = &echo.prices[0];
    assert_eq!((free.input, free.cached_input, free.output, echo.supports_streaming), (0, None, 0, true));
    let mini = known("openai", "gpt-4o-mini").await.unwrap();
    let paid = &mini.prices[0];
    assert_eq!((paid.input, paid.cached_input, paid.output), (150_000_000, Some(75_000_000), 600_000_000));
    assert_eq!((mini.max_tokens, paid.valid_from), (Some(16_384), Timestamp(1_721_260_800_000_000)));
    let sonnet = &known("anthropic", "claude-sonnet-4-5").await.unwrap().prices[0];
    let written = (sonnet.cache_write_5m, sonnet.cache_write_1h);
    assert_eq!((sonnet.input, written), (3_000_000_000, (Some(3_750_000_000), Some(6_000_000_000))));
    assert_eq!((paid.cache_write_5m, paid.cache_write_1h), (None, None));
    assert!(known("openai", "gpt-0").await.is_none());
}

pub async fn a_new_model_streams_and_has_no_price<B: Backend>(backend: &B) {
    let made = backend.store().put_model(put()).await.unwrap();
    assert_eq!((made.max_tokens, made.supports_streaming, made.prices.clone()), (None, true, vec![]));
    assert_eq!(backend.store().model(&made.id).await.unwrap(), Some(made));
}

pub async fn absent_fields_keep_what_was_there<B: Backend>(backend: &B) {
    let store = backend.store();
    let first = PutModel { max_tokens: Some(7), supports_streaming: Some(false), price: price(5, Some(0)), ..put() };
    let first = store.put_model(first).await.unwrap();
    let revision = store.revisions(&[]).await.unwrap().models;
    let same = store.put_model(put()).await.unwrap();
    assert_eq!(same, first);
    assert_eq!(store.revisions(&[]).await.unwrap().models, revision, "nothing was written");
    let changed = store.put_model(PutModel { max_tokens: Some(8), ..put() }).await.unwrap();
    assert_eq!((changed.max_tokens, changed.supports_streaming), (Some(8), false));
    assert_eq!((changed.prices, changed.created_at), (first.prices, first.created_at));
    assert_eq!(store.revisions(&[]).await.unwrap().models, revision + 1);
}

pub async fn a_price_holds_from_its_moment_on<B: Backend>(backend: &B) {
    assert_eq!(input(&put_price(backend, 5, Some(i64::MAX)).await), None, "not yet");
    assert_eq!(input(&put_price(backend, 3, Some(1_000)).await), Some(3));
    assert_eq!(input(&put_price(backend, 2, Some(500)).await), Some(3), "an earlier moment does not hide a later one");
    let present = put_price(backend, 4, None).await;
    assert_eq!(input(&present), Some(4));
    assert_eq!(backend.store().model(&put().id).await.unwrap(), Some(present));
}

pub async fn an_equal_price_writes_nothing<B: Backend>(backend: &B) {
    let first = put_price(backend, 5, None).await;
    let revision = backend.store().revisions(&[]).await.unwrap().models;
    assert_eq!(put_price(backend, 5, None).await, first);
    assert_eq!(put_price(backend, 5, Some(i64::MAX)).await, first);
    assert_eq!(backend.store().revisions(&[]).await.unwrap().models, revision);
    assert_eq!(backend.count("SELECT count(*) FROM model_prices WHERE provider = 'local'").await, 1);
}

pub async fn a_price_that_differs_only_in_what_is_written_to_the_cache_is_another<B: Backend>(backend: &B) {
    let first = price(5, None).unwrap();
    let put_price = async |price| backend.store().put_model(PutModel { price: Some(price), ..put() }).await.unwrap();
    let mut held = put_price(first.clone()).await;
    for (minutes, hour) in [(None, first.cache_write_1h), (None, None), (Some(0), None)] {
        let other = NewPrice { id: new_price(0, 0).id, cache_write_5m: minutes, cache_write_1h: hour, ..first.clone() };
        let model = put_price(other).await;
        assert_eq!(model.prices.len(), held.prices.len() + 1);
        assert_eq!((model.prices[0].cache_write_5m, model.prices[0].cache_write_1h), (minutes, hour));
        assert_eq!(backend.store().model(&put().id).await.unwrap(), Some(model.clone()));
        held = model;
    }
}

pub async fn of_two_prices_from_one_moment_the_later_written_holds<B: Backend>(backend: &B) {
    put_price(backend, 5, Some(1_000)).await;
    assert_eq!(input(&put_price(backend, 6, Some(1_000)).await), Some(6));
}

pub async fn a_model_is_discovered_while_there_is_room_and_known_after<B: Backend>(backend: &B) {
    let store = backend.store();
    let discover = async |model| store.discover_model(&of("local", model), 2).await.unwrap();
    let found = discover("a").await.unwrap();
    assert_eq!(
        (found.discovered, found.max_tokens, found.supports_streaming, &found.prices[..]),
        (true, None, true, &[][..])
    );
    assert_eq!(store.model(&of("local", "a")).await.unwrap(), Some(found.clone()));
    let revision = store.revisions(&[]).await.unwrap().models;
    assert_eq!(discover("a").await, Some(found));
    assert_eq!(store.revisions(&[]).await.unwrap().models, revision, "nothing was written");
    assert!(discover("b").await.is_some());
    assert_eq!(store.revisions(&[]).await.unwrap().models, revision + 1);
    assert_eq!(discover("c").await, None, "two is the most");
    assert!(discover("a").await.is_some() && store.model(&of("local", "c")).await.unwrap().is_none());
    let put = store.put_model(PutModel { id: of("local", "a"), ..put() }).await.unwrap();
    assert!(!put.discovered, "its mark is taken away by a write that says nothing else");
    assert_eq!(store.model(&put.id).await.unwrap(), Some(put));
    assert!(discover("c").await.unwrap().discovered, "and its place");
    assert!(!discover("a").await.unwrap().discovered);
    assert!(!store.put_model(PutModel { id: of("local", "d"), ..self::put() }).await.unwrap().discovered);
}

pub async fn models_discovered_at_once_keep_to_their_number<B: Backend>(backend: &B) {
    let discover = async |number: usize| {
        let model = of("local", &format!("m{number}"));
        in_turn(|| backend.store().discover_model(&model, 5)).await
    };
    let all = futures::future::join_all((0..20).map(discover)).await;
    assert_eq!(all.into_iter().filter(|found| found.as_ref().unwrap().is_some()).count(), 5);
    assert_eq!(backend.count("SELECT count(*) FROM models WHERE discovered").await, 5);
}

pub async fn models_are_paged_by_provider_and_name<B: Backend>(backend: &B) {
    let store = backend.store();
    for model in ["b", "a", "c"] {
        store.put_model(PutModel { id: of("local", model), ..put() }).await.unwrap();
    }
    let first = store.models("local", None, 2).await.unwrap();
    let rest = store.models("local", Some(&first[1].id), 2).await.unwrap();
    let names: Vec<_> = first.iter().chain(&rest).map(|model| model.id.model_name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let all = store.models("", None, 1_000).await.unwrap();
    assert!(all.is_sorted_by_key(|model| (model.id.provider.clone(), model.id.model_name.clone())));
    assert!(all.len() > 20 && all.iter().all(|model| model.id.provider == "local" || !model.prices.is_empty()));
}
