//! CodeRegistrationService: prompts that live in code.

use std::sync::Arc;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::code_registration_service_server::CodeRegistrationService as Api;
use tonic::{Request, Response, Status};

use super::convert::{code, known, spec};
use super::inline_call::{InlineCall, inline_call, told};
use super::streaming::{ResponseStream, messages};
use super::{into_parts, respond, status};
use crate::service::execution::Ran;
use crate::service::registry::Carried;
use crate::service::{Caller, ExecutionService, ModelService, RegistryService};

pub struct CodeRegistrationApi {
    pub registry: Arc<RegistryService>,
    pub executions: Arc<ExecutionService>,
    pub models: Arc<ModelService>,
}

impl CodeRegistrationApi {
    pub(crate) async fn register(
        &self,
        caller: &Caller,
        sent: v1::RegisterCodePromptsRequest,
    ) -> Result<v1::RegisterCodePromptsResponse> {
        let carried = code::code(sent, caller.asking_key());
        let tuned = |prompt: &Carried| prompt.content.config.model.is_some().then(|| prompt.content.clone());
        let tuned: Vec<_> = carried.prompts.iter().map(tuned).collect();
        let (mut registered, revision) = self.registry.register_code(caller.project.id, carried).await?;
        let tuned: Vec<_> = tuned.iter().map(Option::as_ref).collect();
        for (one, doubts) in registered.iter_mut().zip(self.models.doubts(&tuned).await) {
            one.warnings.extend(doubts);
        }
        Ok(v1::RegisterCodePromptsResponse {
            registered: registered.into_iter().map(code::registered).collect(),
            revision,
        })
    }

    async fn execute(&self, call: InlineCall, sent: v1::ExecuteCodePromptRequest) -> Result<Ran> {
        match known::<v1::ExecutionMode>("mode", sent.mode) {
            Ok(v1::ExecutionMode::Unspecified | v1::ExecutionMode::Sync) => {
                call.run(&self.executions, sent.spec, Mode::Tracking).await
            }
            Ok(v1::ExecutionMode::Async) => {
                let spec = spec::spec(&self.executions.cpu, call.caller(), sent.spec).await?;
                self.executions.submit(call.caller(), spec, Mode::Tracking).await
            }
            Err(unknown) => {
                let spec = spec::spec(&self.executions.cpu, call.caller(), sent.spec).await?;
                self.executions.check_mode(call.caller(), &spec, Mode::Tracking).await?;
                Err(unknown)
            }
        }
    }
}

#[tonic::async_trait]
impl Api for CodeRegistrationApi {
    async fn register_code_prompts(
        &self,
        request: Request<v1::RegisterCodePromptsRequest>,
    ) -> Result<Response<v1::RegisterCodePromptsResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.register(&caller, sent).await)
    }

    async fn execute_code_prompt(
        &self,
        request: Request<v1::ExecuteCodePromptRequest>,
    ) -> Result<Response<v1::ExecuteCodePromptResponse>, Status> {
        let (call, sent) = inline_call(request)?;
        let ran = self.execute(call, sent).await.map_err(status::status)?;
        Ok(told(ran, |execution, reused| v1::ExecuteCodePromptResponse { execution, reused }))
    }

    type StreamCodePromptStream = ResponseStream<v1::StreamCodePromptResponse>;

    async fn stream_code_prompt(
        &self,
        request: Request<v1::StreamCodePromptRequest>,
    ) -> Result<Response<Self::StreamCodePromptStream>, Status> {
        let (call, sent) = inline_call(request)?;
        let message = |event| v1::StreamCodePromptResponse { event: Some(event) };
        respond(call.stream(&self.executions, sent.spec, Mode::Tracking).await.map(|events| messages(events, message)))
    }
}
