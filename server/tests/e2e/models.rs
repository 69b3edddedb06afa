//! Models and prices.

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_testkit::fake_model::Reply;
use prompt_ledger_testkit::ledger::{DEVELOPMENT_KEY, Metadata, spec};
use tonic::Code;

use super::keys::create;
use super::{ledger, ledger_with_model, refused, wrong_fields};

fn model(provider: &str, name: &str) -> v1::PutModelRequest {
    v1::PutModelRequest { provider: provider.into(), model_name: name.into(), ..v1::PutModelRequest::default() }
}

fn price(input: i64, output: i64) -> v1::ModelPrice {
    v1::ModelPrice {
        input_nano_usd_per_million: input,
        output_nano_usd_per_million: output,
        ..v1::ModelPrice::default()
    }
}

#[tokio::test]
async fn a_registered_model_is_executed_at_its_price() {
    let (ledger, fake) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let put = v1::PutModelRequest { price: Some(price(1_000_000, 2_000_000)), ..model("openai", "mine") };
    let put = ledger.registry().put_model(put).await.unwrap().into_inner().model.unwrap();
    fake.next(Reply::answer("one two three"));
    let which = Some(v1::ModelRef { provider: "openai".into(), model_name: "mine".into() });
    let ran = ledger.run(v1::ExecutionSpec { model: which, ..spec("greet", &[]) }).await;
    let expected = i64::from(ran.prompt_tokens.unwrap()) + 2 * i64::from(ran.response_tokens.unwrap());
    assert_eq!((ran.cost_nano_usd, ran.price_id), (Some(expected), put.prices[0].price_id.clone()));
}

#[tokio::test]
async fn a_new_price_holds_for_the_next_execution() {
    let ledger = ledger().start().await;
    ledger.active("greet", "hello").await;
    assert_eq!(ledger.run(spec("greet", &[])).await.cost_nano_usd, Some(0));
    let put = v1::PutModelRequest { price: Some(price(1_000_000_000, 0)), ..model("echo", "echo") };
    let prices = ledger.registry().put_model(put).await.unwrap().into_inner().model.unwrap().prices;
    assert_eq!(prices.len(), 2, "{prices:?}");
    assert_eq!(ledger.run(spec("greet", &[])).await.cost_nano_usd, Some(1_000));
}

#[tokio::test]
async fn an_own_server_takes_any_model_without_a_price() {
    let (ledger, _fake) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let which = Some(v1::ModelRef { provider: "openai".into(), model_name: "llama/3:8b".into() });
    let ran = ledger.run(v1::ExecutionSpec { model: which, ..spec("greet", &[]) }).await;
    assert_eq!((ran.status(), ran.cost_nano_usd), (v1::ExecutionStatus::Succeeded, None));
    let list = v1::ListModelsRequest { provider: "openai".into(), page_size: 500, page_token: String::new() };
    let models = ledger.registry().list_models(list).await.unwrap().into_inner().models;
    let found = models.iter().find(|model| model.model_name == "llama/3:8b").unwrap();
    assert!(found.discovered && found.prices.is_empty());
    let put = ledger.registry().put_model(model("openai", "llama/3:8b")).await.unwrap().into_inner().model.unwrap();
    assert!(!put.discovered, "a write takes the mark away");
}

#[tokio::test]
async fn models_are_discovered_up_to_a_thousand_and_registered_ones_go_on() {
    let (ledger, _fake) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let submit = async |name: String| {
        let which = Some(v1::ModelRef { provider: "openai".into(), model_name: name });
        let spec = Some(v1::ExecutionSpec { model: which, ..spec("greet", &[]) });
        ledger.executions().submit_execution(v1::SubmitExecutionRequest { spec }).await
    };
    let names: Vec<_> = (0..1_000).map(|number| format!("m{number}")).collect();
    for names in names.chunks(50) {
        for submitted in futures::future::join_all(names.iter().cloned().map(&submit)).await {
            submitted.unwrap();
        }
    }
    let status = submit("one-more".into()).await.unwrap_err();
    assert!(status.message().contains("1000 models") && status.message().contains("PutModel {"), "{status:?}");
    refused(Err::<(), _>(status), Code::NotFound, "MODEL_NOT_FOUND");
    submit("m999".into()).await.unwrap();
    ledger.registry().put_model(model("openai", "one-more")).await.unwrap();
    submit("one-more".into()).await.unwrap();
}

#[tokio::test]
async fn models_and_prices_are_changed_by_system_keys_alone() {
    let ledger = ledger().start().await;
    let put = async |key: &str| {
        let put = v1::PutModelRequest { price: Some(price(1_000_000, 0)), ..model("echo", "echo") };
        RegistryServiceClient::new(ledger.connection_with(Metadata::key(key))).put_model(put).await
    };
    let (of_project, system) = (create(ledger.data_dir(), &[]), create(ledger.data_dir(), &["--system"]));
    let status = put(&of_project).await.unwrap_err();
    assert!(status.message().contains("keys create --system"), "{status:?}");
    refused(Err::<(), _>(status), Code::PermissionDenied, "SCOPE_MISSING");
    let mut registry = RegistryServiceClient::new(ledger.connection_with(Metadata::key(&of_project)));
    registry.list_models(v1::ListModelsRequest::default()).await.unwrap();
    put(&system).await.unwrap();
    put(DEVELOPMENT_KEY).await.unwrap();
}

#[tokio::test]
async fn wrong_models_are_refused() {
    let ledger = ledger().start().await;
    let mut registry = ledger.registry();
    for (request, field) in [
        (model("", "m"), "provider"),
        (model("echo", ""), "model_name"),
        (v1::PutModelRequest { max_tokens: Some(0), ..model("echo", "m") }, "max_tokens"),
        (v1::PutModelRequest { price: Some(price(-1, 0)), ..model("echo", "m") }, "price.input_nano_usd_per_million"),
        (
            v1::PutModelRequest {
                price: Some(v1::ModelPrice { cache_write_5m_nano_usd_per_million: Some(-1), ..price(1, 1) }),
                ..model("echo", "m")
            },
            "price.cache_write_5m_nano_usd_per_million",
        ),
        (
            v1::PutModelRequest {
                price: Some(v1::ModelPrice { cache_write_1h_nano_usd_per_million: Some(-1), ..price(1, 1) }),
                ..model("echo", "m")
            },
            "price.cache_write_1h_nano_usd_per_million",
        ),
    ] {
        assert_eq!(wrong_fields(registry.put_model(request).await), [field]);
    }
    refused(registry.put_model(model("absent", "m")).await, Code::NotFound, "PROVIDER_NOT_FOUND");
    assert!(registry.put_model(model("openai", "gpt-x")).await.is_ok(), "known, though not configured");
}

#[tokio::test]
async fn what_is_absent_is_kept_and_an_equal_price_adds_none() {
    let (ledger, _fake) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    let mine = || model("openai", "mine");
    let put = async |request| ledger.registry().put_model(request).await.unwrap().into_inner().model.unwrap();
    let new = put(mine()).await;
    assert_eq!((new.max_tokens, new.supports_streaming, new.prices.len()), (None, true, 0));
    let first = v1::ModelPrice {
        cached_input_nano_usd_per_million: Some(500_000),
        cache_write_5m_nano_usd_per_million: Some(1_250_000),
        cache_write_1h_nano_usd_per_million: Some(2_000_000),
        ..price(1_000_000, 2_000_000)
    };
    let whole = v1::PutModelRequest {
        max_tokens: Some(4_096),
        supports_streaming: Some(false),
        price: Some(first.clone()),
        ..mine()
    };
    let written = put(whole.clone()).await;
    assert_eq!((written.max_tokens, written.supports_streaming), (Some(4_096), false));
    let told = v1::ModelPrice { price_id: String::new(), valid_from: None, ..written.prices[0].clone() };
    assert_eq!((written.prices.len(), told), (1, first.clone()));
    let same = |model: v1::Model| v1::Model { updated_at: written.updated_at, ..model };
    for kept in [mine(), v1::PutModelRequest { price: Some(first.clone()), ..mine() }, whole] {
        assert_eq!(same(put(kept).await), written);
    }
    let run = async || {
        let model = Some(v1::ModelRef { provider: "openai".into(), model_name: "mine".into() });
        ledger.run(v1::ExecutionSpec { model, ..spec("greet", &[]) }).await
    };
    let early = run().await;
    let dearer = put(v1::PutModelRequest { price: Some(price(7_000_000, 7_000_000)), ..mine() }).await;
    let expected = [&dearer.prices[0], &written.prices[0]];
    assert_eq!(dearer.prices.iter().collect::<Vec<_>>(), expected, "the latest first");
    assert_eq!(v1::Model { prices: written.prices.clone(), ..same(dearer.clone()) }, written);
    let late = run().await;
    assert_eq!((early.cost_nano_usd, late.cost_nano_usd), (Some(1 + 2), Some(7 + 7)));
    let get = v1::GetExecutionRequest { execution_id: early.execution_id.clone(), view: 0, ..Default::default() };
    let stored = ledger.executions().get_execution(get).await.unwrap().into_inner().execution.unwrap();
    assert_eq!((stored.cost_nano_usd, &stored.price_id), (early.cost_nano_usd, &written.prices[0].price_id));
    let list = v1::ListModelsRequest { provider: "openai".into(), page_size: 500, page_token: String::new() };
    assert!(ledger.registry().list_models(list).await.unwrap().into_inner().models.contains(&dearer));
}
