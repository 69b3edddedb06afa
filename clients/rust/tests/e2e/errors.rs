//! What cannot be watched.

use std::time::Duration;

use prompt_ledger_client::{Client, Options, Updates, WatchError, v1};
use prompt_ledger_testkit::fake_model::FakeModel;
use prompt_ledger_testkit::vacant::vacant;
use tokio::net::TcpListener;
use tonic_types::StatusExt as _;

use super::{client, ledger, options};

const UNKNOWN: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

async fn error(mut watch: Updates) -> WatchError {
    let error = watch.next().await.unwrap().unwrap_err();
    assert!(watch.next().await.is_none(), "nothing follows an error");
    error
}

/// A client with little patience.
fn hasty(url: String) -> Client {
    let (patience, silence) = (Duration::from_millis(500), Duration::from_millis(200));
    Client::connect(Options { url, patience, silence, ..Options::default() }).unwrap()
}

#[tokio::test]
async fn a_wrong_key_and_an_unknown_execution_are_refused_at_once() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    let wrong = Options { api_key: "pl_wrong-and-secret".into(), ..options(&ledger) };
    let wrong = Client::connect(wrong).unwrap();
    let refused = error(wrong.watch(UNKNOWN)).await;
    assert_eq!(refused.reason().as_deref(), Some("KEY_INVALID"));
    assert!(!format!("{refused} {refused:?} {wrong:?}").contains("wrong-and-secret"), "{refused:?}");
    let refused = error(client(&ledger).watch(UNKNOWN)).await;
    assert_eq!(refused.reason().as_deref(), Some("EXECUTION_NOT_FOUND"));
    let mut tail = wrong.tail(v1::WatchExecutionsRequest::default());
    assert_eq!(tail.next().await.unwrap().unwrap_err().reason().as_deref(), Some("KEY_INVALID"));
}

#[tokio::test]
async fn the_other_services_are_reached_over_the_same_connection() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    let client = client(&ledger);
    client.registry().list_models(v1::ListModelsRequest::default()).await.unwrap();
    client.executions().list_executions(v1::ListExecutionsRequest::default()).await.unwrap();
    client.analytics().get_prompt_analytics(v1::GetPromptAnalyticsRequest::default()).await.unwrap();
    let request = v1::RegisterCodePromptsRequest::default();
    let refused = client.code_registration().register_code_prompts(request).await.unwrap_err();
    assert_eq!(refused.get_details_error_info().unwrap().reason, "INVALID_FIELD", "an empty batch");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_given_up_when_patience_ends() {
    let (_socket, url) = vacant();
    let given_up = error(hasty(url).watch(UNKNOWN)).await;
    assert!(matches!(given_up, WatchError::GaveUp { .. }), "{given_up:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_too() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let given_up = error(hasty(url).watch(UNKNOWN)).await;
    assert!(given_up.to_string().contains("said nothing"), "{given_up:?}");
}

#[tokio::test]
async fn whether_a_server_takes_calls_is_told_without_a_key() {
    let model = FakeModel::start().await;
    let ledger = ledger(&model).start().await;
    let keyless = Options { api_key: "".into(), ..options(&ledger) };
    assert_eq!(Client::connect(keyless).unwrap().is_serving().await, Ok(true));
    let (_socket, url) = vacant();
    let error = hasty(url).is_serving().await.unwrap_err();
    assert_eq!(error.code, tonic::Code::Unavailable);
}
