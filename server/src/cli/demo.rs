//! `prompt-ledger dev --demo`: registers, rolls back and executes a prompt, as a gRPC client of the server.

use std::net::SocketAddr;

use prompt_ledger_backends::StartError;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_proto::v1::{self, execution_spec, put_prompt_request};
use prompt_ledger_runtime::config::DEVELOPMENT_KEY;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::Channel;

use crate::grpc::convert::structs;

const PROMPT: &str = "demo-greeting";

/// Sends the development key with each call.
#[derive(Clone)]
struct WithKey;

impl Interceptor for WithKey {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, tonic::Status> {
        request.metadata_mut().insert("x-api-key", MetadataValue::<Ascii>::from_static(DEVELOPMENT_KEY));
        Ok(request)
    }
}

/// Registers a prompt, changes it, rolls it back, executes it, and prints the recorded execution.
pub(super) async fn run(addr: SocketAddr) -> Result<(), StartError> {
    let channel = Channel::from_shared(format!("http://{addr}"))?.connect().await?;
    let mut registry = RegistryServiceClient::with_interceptor(channel.clone(), WithKey);
    let mut executions = ExecutionServiceClient::with_interceptor(channel, WithKey);

    tell!("The demo, as any client would do it:\n");
    for (step, template) in [(1, "Say hello to {{name}}."), (2, "Say hello to {{name}}, in {{language}}.")] {
        let request = v1::PutPromptRequest {
            name: PROMPT.into(),
            template: Some(put_prompt_request::Template::TemplateSource(template.into())),
            created_by: "demo".into(),
            set_active: true,
            ..v1::PutPromptRequest::default()
        };
        let put = registry.put_prompt(request).await?.into_inner();
        let version = put.version.unwrap_or_default();
        let what = if put.version_change { "is new" } else { "was there already" };
        tell!("{step}. PutPrompt `{template}`");
        tell!("   version {} {what}, sha-256 {}", version.version_number, version.checksum_hash);
    }
    let back = v1::SetActiveVersionRequest {
        name: PROMPT.into(),
        version_number: 1,
        etag: None,
        ..v1::SetActiveVersionRequest::default()
    };
    registry.set_active_version(back).await?;
    tell!("3. SetActiveVersion 1: rolled back");

    let variables = serde_json::Map::from_iter([("name".to_owned(), "Ada".into())]);
    let spec = v1::ExecutionSpec {
        prompt_name: PROMPT.into(),
        selector: Some(execution_spec::Selector::Label("active".into())),
        variables: Some(structs::from_json(variables)),
        correlation_id: "demo".into(),
        ..v1::ExecutionSpec::default()
    };
    let ran = executions.run_execution(v1::RunExecutionRequest { spec: Some(spec) }).await?.into_inner();
    let id = ran.execution.unwrap_or_default().execution_id;
    tell!("4. RunExecution -> {id}");

    let read = v1::GetExecutionRequest { execution_id: id, view: v1::ExecutionView::Full.into(), ..Default::default() };
    let execution = executions.get_execution(read).await?.into_inner().execution.unwrap_or_default();
    let model = execution.model.clone().unwrap_or_default();
    tell!("5. GetExecution: its life");
    tell!("   prompt    {} version {} ({})", execution.prompt_name, execution.version_number, execution.checksum_hash);
    tell!("   model     {}/{}", model.provider, model.model_name);
    tell!("   sent      {:?}", execution.rendered_prompt);
    tell!("   answered  {:?}", execution.response_text);
    tell!("   status    {} after {} ms", execution.status().as_str_name(), execution.latency_ms());
    tell!("   tokens    {} in, {} out", execution.prompt_tokens(), execution.response_tokens());
    if !execution.error_type.is_empty() {
        tell!("   error     {}: {}", execution.error_type, execution.error_message);
    }
    tell!();
    Ok(())
}
