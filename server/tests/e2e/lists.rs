//! Lists: filters, views and pages.

use std::collections::BTreeMap;

use prompt_ledger_proto::v1::{self, ListExecutionsRequest, get_version_request};
use prompt_ledger_testkit::ledger::{Ledger, carried, put, spec};
use serde_json::Value;
use tonic::Code;

use super::queued::ended;
use super::{ledger, ledger_with_model, refused};

pub(crate) async fn list(ledger: &Ledger, request: ListExecutionsRequest) -> v1::ListExecutionsResponse {
    ledger.executions().list_executions(request).await.unwrap().into_inner()
}

/// Waits until an execution has this status, and returns it.
pub(crate) async fn first_with(ledger: &Ledger, status: v1::ExecutionStatus) -> v1::Execution {
    let watch = v1::WatchExecutionsRequest::default();
    let mut events = ledger.executions().watch_executions(watch).await.unwrap().into_inner();
    loop {
        let request = ListExecutionsRequest { statuses: vec![status.into()], ..ListExecutionsRequest::default() };
        if let Some(found) = list(ledger, request).await.executions.into_iter().next() {
            return found;
        }
        events.message().await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn executions_are_found_by_every_filter() {
    let ledger = ledger().start().await;
    ledger.active("greet", "one").await;
    ledger.active("other", "two").await;
    let first = ledger.run(spec("greet", &[])).await;
    ledger.active("greet", "three").await;
    let in_prod = v1::ExecutionSpec { environment: "prod".into(), ..spec("greet", &[]) };
    let second = ledger.run(in_prod).await;
    let correlated = v1::ExecutionSpec { correlation_id: "order-1".into(), ..spec("other", &[]) };
    let third = ledger.run(correlated).await;

    let (all, prompt) = (ListExecutionsRequest::default(), |name: &str| name.to_owned());
    for (request, expected) in [
        (all.clone(), vec![&third, &second, &first]),
        (ListExecutionsRequest { prompt_name: prompt("greet"), ..all.clone() }, vec![&second, &first]),
        (ListExecutionsRequest { prompt_name: prompt("absent"), ..all.clone() }, vec![]),
        (ListExecutionsRequest { prompt_name: prompt("greet"), version_number: Some(1), ..all.clone() }, vec![&first]),
        (ListExecutionsRequest { environment: "prod".into(), ..all.clone() }, vec![&second]),
        (ListExecutionsRequest { correlation_id: "order-1".into(), ..all.clone() }, vec![&third]),
        (ListExecutionsRequest { statuses: vec![v1::ExecutionStatus::Failed.into()], ..all.clone() }, vec![]),
        (
            ListExecutionsRequest { statuses: vec![v1::ExecutionStatus::Succeeded.into(); 2], ..all.clone() },
            vec![&third, &second, &first],
        ),
        (ListExecutionsRequest { start_time: second.created_at, ..all.clone() }, vec![&third, &second]),
        (ListExecutionsRequest { end_time: second.created_at, ..all.clone() }, vec![&first]),
    ] {
        let found = list(&ledger, request.clone()).await.executions;
        let ids: Vec<_> = found.iter().map(|execution| &execution.execution_id).collect();
        assert_eq!(ids, expected.iter().map(|execution| &execution.execution_id).collect::<Vec<_>>(), "{request:?}");
    }
}

#[tokio::test]
async fn lists_are_basic_unless_asked_to_be_full() {
    let ledger = ledger().start().await;
    ledger.active("greet", "hello").await;
    ledger.run(spec("greet", &[])).await;
    let basic = list(&ledger, ListExecutionsRequest::default()).await.executions.remove(0);
    assert_eq!((&*basic.rendered_prompt, &*basic.response_text), ("", ""));
    let full = ListExecutionsRequest { view: v1::ExecutionView::Full.into(), ..ListExecutionsRequest::default() };
    let full = list(&ledger, full).await.executions.remove(0);
    assert_eq!((&*full.rendered_prompt, &*full.response_text), ("hello", "hello"));
}

#[tokio::test]
async fn pages_show_everything_once_in_order() {
    let ledger = ledger().start().await;
    ledger.active("greet", "hello").await;
    let mut ran = Vec::new();
    for _ in 0..7 {
        ran.push(ledger.run(spec("greet", &[])).await.execution_id);
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListExecutionsRequest { page_size: 3, page_token: token, ..ListExecutionsRequest::default() };
        let page = list(&ledger, request).await;
        assert!(page.executions.len() <= 3);
        seen.extend(page.executions.into_iter().map(|execution| execution.execution_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    seen.reverse();
    assert_eq!(seen, ran);
}

#[tokio::test]
async fn a_page_ends_early_at_two_mebibytes() {
    let ledger = ledger().start().await;
    for number in 0..12 {
        let text = format!("{number}{}", "x".repeat(199 * 1024));
        ledger.registry().put_prompt(put("long", &text)).await.unwrap();
    }
    let request = v1::ListVersionsRequest { name: "long".into(), ..v1::ListVersionsRequest::default() };
    let first = ledger.registry().list_versions(request.clone()).await.unwrap().into_inner();
    assert_eq!(first.versions.len(), 10);
    let rest = v1::ListVersionsRequest { page_token: first.next_page_token, ..request };
    let rest = ledger.registry().list_versions(rest).await.unwrap().into_inner();
    assert_eq!((rest.versions.len(), &*rest.next_page_token), (2, ""));
}

#[tokio::test]
async fn prompts_are_listed_by_name_and_filtered() {
    let ledger = ledger().start().await;
    for (name, team) in [("b-two", "core"), ("a", "core"), ("b-one", "web"), ("B", "")] {
        let request = v1::PutPromptRequest { owner_team: Some(team.into()), set_active: true, ..put(name, name) };
        ledger.registry().put_prompt(request).await.unwrap();
    }
    let all = v1::ListPromptsRequest::default;
    for (request, expected) in [
        (all(), vec!["B", "a", "b-one", "b-two"]),
        (v1::ListPromptsRequest { owner_team: "core".into(), ..all() }, vec!["a", "b-two"]),
        (v1::ListPromptsRequest { name_prefix: "b-".into(), ..all() }, vec!["b-one", "b-two"]),
        (v1::ListPromptsRequest { mode: v1::PromptMode::Tracking.into(), ..all() }, vec![]),
        (v1::ListPromptsRequest { mode: v1::PromptMode::Full.into(), page_size: 1, ..all() }, vec!["B"]),
    ] {
        let page = ledger.registry().list_prompts(request).await.unwrap().into_inner();
        assert_eq!(page.prompts.iter().map(|prompt| &*prompt.name).collect::<Vec<_>>(), expected);
        let active: Vec<_> = page.active_versions.iter().map(|version| &*version.prompt_name).collect();
        assert_eq!(active, expected);
    }
}

#[tokio::test]
async fn a_page_may_be_empty_and_its_token_goes_on() {
    let ledger = ledger().start().await;
    ledger.carry((0..1_000).map(|i| carried(&format!("p{i}"), "hello")).collect()).await;
    let rare = v1::Tags { values: vec!["rare".into()] };
    let last = v1::PutPromptRequest { tags: Some(rare), ..put("z", "hello") };
    ledger.registry().put_prompt(last).await.unwrap();
    let page = async |page_token: String| {
        let request = v1::ListPromptsRequest { tag: "rare".into(), page_token, ..v1::ListPromptsRequest::default() };
        let page = ledger.registry().list_prompts(request).await.unwrap().into_inner();
        (page.prompts.into_iter().map(|prompt| prompt.name).collect::<Vec<_>>(), page.next_page_token)
    };
    let (first, on) = page(String::new()).await;
    assert!(first.is_empty() && !on.is_empty());
    assert_eq!(page(on).await, (vec!["z".to_owned()], String::new()));
}

#[tokio::test]
async fn a_token_of_another_list_is_refused() {
    let ledger = ledger().start().await;
    ledger.active("greet", "one").await;
    ledger.active("other", "one").await;
    let first = v1::ListPromptsRequest { page_size: 1, ..v1::ListPromptsRequest::default() };
    let token = ledger.registry().list_prompts(first).await.unwrap().into_inner().next_page_token;
    let foreign = [
        v1::ListPromptsRequest { page_token: token.clone(), owner_team: "x".into(), ..Default::default() },
        v1::ListPromptsRequest { page_token: "garbage".into(), ..Default::default() },
    ];
    for request in foreign {
        refused(ledger.registry().list_prompts(request).await, Code::InvalidArgument, "PAGE_TOKEN_INVALID");
    }
    let request = ListExecutionsRequest { page_token: token, ..ListExecutionsRequest::default() };
    refused(ledger.executions().list_executions(request).await, Code::InvalidArgument, "PAGE_TOKEN_INVALID");
}

/// Every model that the schema is seeded with, as the seed file has it; what Anthropic's caches are written at came later,
/// and so did two models that cost what `echo/echo` costs.
fn seeds() -> BTreeMap<(String, String), v1::Model> {
    let file: Value = serde_json::from_str(include_str!("../../../migrations/models.json")).unwrap();
    let mut rows = file.as_array().unwrap().clone();
    for name in ["slow", "long"] {
        let mut row = rows[0].clone();
        row["model_name"] = name.into();
        rows.push(row);
    }
    let model = |row: &Value| {
        let [provider, model_name] = ["provider", "model_name"].map(|key| row[key].as_str().unwrap().to_owned());
        let (input, is_anthropic) = (row["input"].as_i64().unwrap(), provider == "anthropic");
        let price = v1::ModelPrice {
            price_id: String::new(),
            input_nano_usd_per_million: input,
            cached_input_nano_usd_per_million: row["cached_input"].as_i64(),
            output_nano_usd_per_million: row["output"].as_i64().unwrap(),
            valid_from: Some(format!("{}T00:00:00Z", row["valid_from"].as_str().unwrap()).parse().unwrap()),
            cache_write_5m_nano_usd_per_million: is_anthropic.then_some(input / 4 * 5),
            cache_write_1h_nano_usd_per_million: is_anthropic.then_some(input * 2),
        };
        let model = v1::Model {
            provider: provider.clone(),
            model_name: model_name.clone(),
            max_tokens: row["max_tokens"].as_i64().map(|most| most.try_into().unwrap()),
            supports_streaming: row["supports_streaming"].as_bool().unwrap(),
            prices: vec![price],
            discovered: false,
            created_at: None,
            updated_at: None,
            capabilities: None,
        };
        ((provider, model_name), model)
    };
    rows.iter().map(model).collect()
}

#[tokio::test]
async fn the_seeded_models_are_those_of_their_file_page_by_page() {
    let ledger = ledger().start().await;
    let (mut seen, mut token) = (BTreeMap::new(), String::new());
    loop {
        let request = v1::ListModelsRequest { page_size: 2, page_token: token, provider: String::new() };
        let page = ledger.registry().list_models(request).await.unwrap().into_inner();
        assert!(page.models.len() <= 2);
        for model in page.models {
            let prices = model.prices.into_iter().map(|price| v1::ModelPrice { price_id: String::new(), ..price });
            let (prices, capabilities) = (prices.collect(), None);
            let model = v1::Model { prices, capabilities, created_at: None, updated_at: None, ..model };
            assert_eq!(seen.insert((model.provider.clone(), model.model_name.clone()), model), None);
        }
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, seeds());
    for (provider, name) in [("echo", "echo"), ("openai", "gpt-4o-mini")] {
        assert!(seen.contains_key(&(provider.to_owned(), name.to_owned())), "{provider}/{name} is missing");
    }
    assert!(seen.keys().any(|(provider, _)| provider == "anthropic"));
}

#[tokio::test]
async fn executions_of_a_prompt_in_code_and_its_versions_are_found_from_each_other() {
    let (ledger, _model) = ledger_with_model().await;
    ledger.carry(vec![carried("greet", "one"), carried("other", "one")]).await;
    ledger.run_code(spec("other", &[])).await;
    let first = ledger.run_code(spec("greet", &[])).await;
    let second = ended(&ledger, &ledger.submit_code(spec("greet", &[])).await).await;
    ledger.carry(vec![carried("greet", "two")]).await;
    let third = ledger.run_code(spec("greet", &[])).await;
    for (number, expected) in [(1, vec![&second, &first]), (2, vec![&third]), (3, vec![])] {
        let all = ListExecutionsRequest::default();
        let request = ListExecutionsRequest { prompt_name: "greet".into(), version_number: Some(number), ..all };
        let found = list(&ledger, request).await.executions;
        let ids: Vec<_> = found.iter().map(|execution| &execution.execution_id).collect();
        assert_eq!(ids, expected.iter().map(|execution| &execution.execution_id).collect::<Vec<_>>());
        for execution in &found {
            let selector = Some(get_version_request::Selector::VersionNumber(execution.version_number));
            let request = v1::GetVersionRequest { name: execution.prompt_name.clone(), selector, ..Default::default() };
            let version = ledger.registry().get_version(request).await.unwrap().into_inner().version.unwrap();
            assert_eq!(execution.version_number, number);
            assert_eq!((&version.version_id, &version.prompt_id), (&execution.version_id, &execution.prompt_id));
            assert_eq!(version.checksum_hash, execution.checksum_hash);
        }
    }
}
