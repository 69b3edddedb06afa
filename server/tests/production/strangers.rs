//! Callers without a known key do not delay those that have one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prompt_ledger_proto::v1::ListPromptsRequest;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_testkit::ledger::{Connection, Metadata, spec};
use prompt_ledger_testkit::services::{self, Proxy};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Endpoint;
use tonic_types::StatusExt as _;

use crate::kit::{Deployment, get, submit};

/// More than are looked up in the second for which each waits, so that some always wait.
const STRANGERS: usize = 500;
const ROUNDS: usize = 20;

/// A random key of the form that `keys create` makes.
fn well_formed() -> String {
    let random: Vec<_> = (0..4).flat_map(|_| services::unique().to_le_bytes()).collect();
    format!("pl_{}", URL_SAFE_NO_PAD.encode(random))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stdout, reason = "what became of the calls is the test's figure")]
async fn keys_that_there_are_not_are_in_no_honest_callers_way() {
    let database = services::database();
    let proxy = Proxy::to(database.url()).await;
    let deployment = Deployment::on(&proxy.url(database.url()), None, None)
        .await
        .without_database()
        .without_worker()
        .expects("OVERLOADED: ");
    let server = deployment.server().await;
    server.active("greet", "hello").await;
    let said = deployment.builder().said(&["keys", "create"]).1;
    let key = said.lines().find(|line| line.starts_with("pl_")).unwrap().to_owned();
    let mut shop = RegistryServiceClient::new(server.connection_with(Metadata::key(&key)));
    shop.list_prompts(ListPromptsRequest::default()).await.unwrap();
    // The latency to another data centre.
    proxy.delay(Duration::from_millis(10));

    let address = format!("http://{}", server.addr);
    let mut strangers = tokio::task::JoinSet::new();
    let over = CancellationToken::new();
    for _ in 0..4 {
        let channel = Endpoint::from_shared(address.clone()).unwrap().connect().await.unwrap();
        for _ in 0..STRANGERS / 4 {
            let connection = InterceptedService::new(channel.clone(), Metadata::key(&well_formed()));
            strangers.spawn(insist(RegistryServiceClient::new(connection), over.clone()));
        }
    }
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS {
        if round == ROUNDS / 2 {
            // Every key is looked up again after the revision of the keys has moved.
            assert!(deployment.builder().said(&["keys", "create"]).0);
        }
        let began = Instant::now();
        shop.list_prompts(ListPromptsRequest::default()).await.unwrap();
        let id = submit(&server, spec("greet", &[])).await;
        get(&server, &id).await;
        slowest = slowest.max(began.elapsed());
    }
    over.cancel();
    let mut counts = BTreeMap::<_, usize>::new();
    for refused in strangers.join_all().await.into_iter().flatten() {
        let details = refused.get_error_details();
        let reason = details.error_info().unwrap().reason.clone();
        assert_eq!(details.retry_info().is_some(), reason == "OVERLOADED", "{refused:?}");
        *counts.entry(reason).or_default() += 1;
    }
    println!("three honest calls took {slowest:?} at most; meanwhile strangers: {counts:?}");
    assert!(counts.keys().all(|reason| ["KEY_INVALID", "OVERLOADED"].contains(&&**reason)), "{counts:?}");
    assert!(counts.values().sum::<usize>() >= STRANGERS, "{counts:?}");
}

/// Calls until `over` fires; returns how each call was refused.
async fn insist(mut client: RegistryServiceClient<Connection>, over: CancellationToken) -> Vec<Status> {
    let mut refused = Vec::new();
    while !over.is_cancelled() {
        refused.push(client.list_prompts(ListPromptsRequest::default()).await.unwrap_err());
    }
    refused
}
