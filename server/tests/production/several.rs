//! Several servers: a change through one is known to all at once.

use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_testkit::ledger::{DEVELOPMENT_KEY, Ledger, Metadata, put, spec};
use tonic::{Code, Status, Streaming};

use crate::kit::{Deployment, ended, request, submit};

async fn runs(server: &Ledger, execution: v1::ExecutionSpec) -> Result<v1::Execution, tonic::Status> {
    let run = v1::RunExecutionRequest { spec: Some(execution) };
    server.executions().run_execution(run).await.map(|answer| answer.into_inner().execution.unwrap())
}

/// Makes a key for the default project; returns its id and the key.
fn made_key(deployment: &Deployment) -> (String, String) {
    let said = deployment.builder().said(&["keys", "create", "--name", "shop"]).1;
    let key = said.lines().find(|line| line.starts_with("pl_")).unwrap();
    let id = said.lines().find_map(|line| line.strip_prefix("Key ")?.split_whitespace().next()).unwrap();
    (id.to_owned(), key.to_owned())
}

#[tokio::test]
async fn a_prompt_that_one_server_changes_is_never_stale_on_another() {
    let deployment = Deployment::new().await;
    let (one, two) = (deployment.server().await, deployment.server().await);
    one.active("greet", "version 0").await;
    for round in 1..=30 {
        let (writer, reader) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let text = format!("version {round}");
        writer.active("greet", &text).await;
        let rendered = runs(reader, spec("greet", &[])).await.unwrap().rendered_prompt;
        assert_eq!(rendered, text);
        let get = v1::GetPromptRequest { name: "greet".into(), min_revision: None };
        let found = reader.registry().get_prompt(get).await.unwrap().into_inner();
        assert_eq!(found.active_version.unwrap().version_number, round + 1);
    }
    let archive = v1::ArchivePromptRequest { name: "greet".into(), etag: None, ..v1::ArchivePromptRequest::default() };
    one.registry().archive_prompt(archive).await.unwrap();
    let refused = two.executions().submit_execution(request(spec("greet", &[]))).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn nothing_is_recorded_for_a_key_that_was_revoked_elsewhere() {
    let deployment = Deployment::new().await;
    let (one, two) = (deployment.server().await, deployment.server().await);
    one.active("greet", "hello").await;
    for round in 0..10 {
        let (id, key) = made_key(&deployment);
        let client = || ExecutionServiceClient::new(two.connection_with(Metadata::key(&key)));
        let run = |spec| v1::RunExecutionRequest { spec: Some(spec) };
        // Caches the key, and the prompt.
        client().run_execution(run(spec("greet", &[]))).await.unwrap();
        assert!(deployment.builder().said(&["keys", "revoke", &id]).0);
        let refused = match round % 4 {
            0 => client().run_execution(run(spec("greet", &[]))).await.unwrap_err(),
            1 => client().submit_execution(request(spec("greet", &[]))).await.unwrap_err(),
            2 => client().run_execution(run(spec("nobody", &[]))).await.unwrap_err(),
            _ => client().run_execution(v1::RunExecutionRequest::default()).await.unwrap_err(),
        };
        assert_eq!(refused.code(), Code::Unauthenticated, "{round}: {refused:?}");
    }
}

#[tokio::test]
async fn a_key_and_a_model_that_are_made_or_taken_away_are_known_everywhere_at_once() {
    let deployment = Deployment::new().await;
    let (one, two) = (deployment.server().await, deployment.server().await);
    one.active("greet", "hello").await;
    let (id, key) = made_key(&deployment);
    for server in [&one, &two] {
        let connection = server.connection_with(Metadata::key(&key));
        let mut client = RegistryServiceClient::new(connection);
        client.list_prompts(v1::ListPromptsRequest::default()).await.unwrap();
    }
    assert!(deployment.builder().said(&["keys", "list"]).1.contains(&id));
    assert!(deployment.builder().said(&["keys", "revoke", &id]).0);
    for server in [&one, &two] {
        let connection = server.connection_with(Metadata::key(&key));
        let mut client = RegistryServiceClient::new(connection);
        let refused = client.list_prompts(v1::ListPromptsRequest::default()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
    }

    for price in 1..=10_i64 {
        let put = v1::PutModelRequest {
            provider: "openai".into(),
            model_name: "gpt-4o-mini".into(),
            price: Some(v1::ModelPrice {
                input_nano_usd_per_million: price * 1_000_000_000,
                output_nano_usd_per_million: 0,
                ..Default::default()
            }),
            ..Default::default()
        };
        one.registry().put_model(put).await.unwrap();
        let ran = runs(&two, spec("greet", &[])).await.unwrap();
        assert_eq!(ran.cost_nano_usd, Some(i64::from(ran.prompt_tokens.unwrap()) * price * 1_000));
    }
}

#[tokio::test]
async fn a_revoked_keys_streams_end_on_every_server_though_nobody_calls() {
    let deployment = Deployment::new().await;
    let servers = [deployment.server().await, deployment.server().await];
    let (id, key) = made_key(&deployment);
    let (_, other) = made_key(&deployment);
    let watch = async |key: &str| {
        let mut watched = Vec::new();
        for server in &servers {
            let mut client = ExecutionServiceClient::new(server.connection_with(Metadata::key(key)));
            let stream = client.watch_executions(v1::WatchExecutionsRequest::default()).await.unwrap();
            watched.push(stream.into_inner());
        }
        watched
    };
    // Reads the snapshots, after which nothing comes, because nobody executes anything, and then the end of the
    // stream.
    let end = async |mut stream: Streaming<v1::WatchExecutionsResponse>| {
        while stream.message().await?.is_some() {}
        Ok::<_, Status>(())
    };
    let (revoked_ones, others) = (watch(&key).await, watch(&other).await);
    assert!(deployment.builder().said(&["keys", "revoke", &id]).0);
    for stream in revoked_ones {
        let ended = tokio::time::timeout(Duration::from_secs(30), end(stream)).await.unwrap();
        assert_eq!(ended.unwrap_err().code(), Code::Unauthenticated);
    }
    for stream in others {
        let ended = tokio::time::timeout(Duration::from_secs(1), end(stream)).await;
        assert!(ended.is_err(), "another key's goes on: {ended:?}");
    }
}

#[tokio::test]
async fn in_production_the_development_key_is_dead_and_says_what_to_do() {
    let deployment = Deployment::new().await;
    let server = deployment.server().await;
    let connection = server.connection_with(Metadata::key(DEVELOPMENT_KEY));
    let list = v1::ListPromptsRequest::default();
    let refused = RegistryServiceClient::new(connection).list_prompts(list).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("keys create") && refused.message().contains("API_KEY"), "{refused:?}");
    let (well, said) = deployment.builder().env("API_KEY", DEVELOPMENT_KEY).said(&["serve"]);
    assert!(!well && said.contains("API_KEY"), "{said}");
}

#[tokio::test]
async fn what_one_server_recorded_another_reads() {
    let deployment = Deployment::new().await;
    let ((one, _worker), two) = (deployment.pair().await, deployment.server().await);
    two.registry().put_prompt(put("other", "x")).await.unwrap();
    let id = submit(&one, spec("greet", &[])).await;
    assert_eq!(ended(&two, &id).await, ended(&one, &id).await);
}
