//! CodeRegistrationService: in the contract, not offered yet.

use std::pin::Pin;

use futures::Stream;
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::code_registration_service_server::CodeRegistrationService as Api;
use tonic::{Request, Response, Status};

use super::status::unimplemented;

/// The service on the wire.
pub struct CodeRegistration;

type Events = Pin<Box<dyn Stream<Item = Result<v1::StreamCodePromptResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Api for CodeRegistration {
    async fn register_code_prompts(
        &self,
        _: Request<v1::RegisterCodePromptsRequest>,
    ) -> Result<Response<v1::RegisterCodePromptsResponse>, Status> {
        Err(unimplemented("CodeRegistrationService.RegisterCodePrompts"))
    }

    async fn execute_code_prompt(
        &self,
        _: Request<v1::ExecuteCodePromptRequest>,
    ) -> Result<Response<v1::ExecuteCodePromptResponse>, Status> {
        Err(unimplemented("CodeRegistrationService.ExecuteCodePrompt"))
    }

    type StreamCodePromptStream = Events;

    async fn stream_code_prompt(&self, _: Request<v1::StreamCodePromptRequest>) -> Result<Response<Events>, Status> {
        Err(unimplemented("CodeRegistrationService.StreamCodePrompt"))
    }
}
