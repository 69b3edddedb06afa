//! Several servers: what one changes, all know at once.

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_testkit::ledger::{Ledger, Metadata, put, spec};
use tonic::Code;

use crate::kit::{Deployment, ended, request, submit};

async fn runs(server: &Ledger, execution: v1::ExecutionSpec) -> Result<v1::Execution, tonic::Status> {
    let run = v1::RunExecutionRequest { spec: Some(execution) };
    server.executions().run_execution(run).await.map(|answer| answer.into_inner().execution.unwrap())
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
    let archive = v1::ArchivePromptRequest { name: "greet".into(), etag: None };
    one.registry().archive_prompt(archive).await.unwrap();
    let refused = two.executions().submit_execution(request(spec("greet", &[]))).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_key_and_a_model_that_are_made_or_taken_away_are_known_everywhere_at_once() {
    let deployment = Deployment::new().await;
    let (one, two) = (deployment.server().await, deployment.server().await);
    one.active("greet", "hello").await;
    let made = deployment.builder().said(&["keys", "create", "--project", "default", "--name", "shop"]).1;
    let key = made.lines().find(|line| line.starts_with("pl_")).unwrap();
    let id = made.lines().find_map(|line| line.strip_prefix("Key ")?.split_whitespace().next()).unwrap();
    for server in [&one, &two] {
        let connection = server.connection_with(Metadata::key(key));
        let mut client = RegistryServiceClient::new(connection);
        client.list_prompts(v1::ListPromptsRequest::default()).await.unwrap();
    }
    assert!(deployment.builder().said(&["keys", "list"]).1.contains(id));
    assert!(deployment.builder().said(&["keys", "revoke", id]).0);
    for server in [&one, &two] {
        let connection = server.connection_with(Metadata::key(key));
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
async fn what_one_server_recorded_another_reads() {
    let deployment = Deployment::new().await;
    let ((one, _worker), two) = (deployment.pair().await, deployment.server().await);
    two.registry().put_prompt(put("other", "x")).await.unwrap();
    let id = submit(&one, spec("greet", &[])).await;
    assert_eq!(ended(&two, &id).await, ended(&one, &id).await);
}
