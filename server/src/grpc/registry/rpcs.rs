//! The RPCs of RegistryService.

use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use prompt_ledger_domain::Result;
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::registry_service_server::RegistryService as Api;
use tonic::{Request, Response, Status};

use super::RegistryApi;
use crate::front::answers::RoomTaken;
use crate::grpc::deadline::Deadline;
use crate::grpc::{into_parts, respond, status};

type BoxedMessages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Api for RegistryApi {
    async fn put_prompt(
        &self,
        request: Request<v1::PutPromptRequest>,
    ) -> Result<Response<v1::PutPromptResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.put(&caller, sent).await)
    }

    async fn get_prompt(
        &self,
        request: Request<v1::GetPromptRequest>,
    ) -> Result<Response<v1::GetPromptResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.get(&caller, sent).await)
    }

    async fn list_prompts(
        &self,
        request: Request<v1::ListPromptsRequest>,
    ) -> Result<Response<v1::ListPromptsResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.list(&caller, sent).await)
    }

    async fn get_version(
        &self,
        request: Request<v1::GetVersionRequest>,
    ) -> Result<Response<v1::GetVersionResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.version(&caller, sent).await.map(|(answer, _)| answer))
    }

    async fn list_versions(
        &self,
        request: Request<v1::ListVersionsRequest>,
    ) -> Result<Response<v1::ListVersionsResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.versions(&caller, sent).await)
    }

    async fn get_prompt_history(
        &self,
        request: Request<v1::GetPromptHistoryRequest>,
    ) -> Result<Response<v1::GetPromptHistoryResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.history(&caller, sent).await)
    }

    async fn set_active_version(
        &self,
        request: Request<v1::SetActiveVersionRequest>,
    ) -> Result<Response<v1::SetActiveVersionResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.activate(&caller, sent).await)
    }

    async fn set_version_status(
        &self,
        request: Request<v1::SetVersionStatusRequest>,
    ) -> Result<Response<v1::SetVersionStatusResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.set_status(&caller, sent).await)
    }

    async fn archive_prompt(
        &self,
        request: Request<v1::ArchivePromptRequest>,
    ) -> Result<Response<v1::ArchivePromptResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.archive(&caller, sent).await)
    }

    async fn unarchive_prompt(
        &self,
        request: Request<v1::UnarchivePromptRequest>,
    ) -> Result<Response<v1::UnarchivePromptResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.unarchive(&caller, sent).await)
    }

    async fn migrate_prompt_mode(
        &self,
        request: Request<v1::MigratePromptModeRequest>,
    ) -> Result<Response<v1::MigratePromptModeResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.migrate(&caller, sent).await)
    }

    async fn render_prompt(
        &self,
        request: Request<v1::RenderPromptRequest>,
    ) -> Result<Response<v1::RenderPromptResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.render(&caller, sent).await)
    }

    type WatchPromptsStream = BoxedMessages<v1::WatchPromptsResponse>;

    async fn watch_prompts(
        &self,
        request: Request<v1::WatchPromptsRequest>,
    ) -> Result<Response<Self::WatchPromptsStream>, Status> {
        let (deadline, connection) = (request.extensions().get::<Deadline>().copied(), request.remote_addr());
        let (caller, sent) = into_parts(request)?;
        let changes = self.watch(&caller, sent, deadline, connection).await.map_err(status::status)?;
        let boxed: Self::WatchPromptsStream = Box::pin(changes.map(|message| message.map_err(status::status)));
        let mut response = Response::new(boxed);
        response.extensions_mut().insert(RoomTaken);
        Ok(response)
    }

    type ExportPromptsStream = BoxedMessages<v1::ExportPromptsResponse>;

    async fn export_prompts(
        &self,
        request: Request<v1::ExportPromptsRequest>,
    ) -> Result<Response<Self::ExportPromptsStream>, Status> {
        let (caller, sent) = into_parts(request)?;
        let exported = self.export(&caller, sent).await.map_err(status::status)?;
        let boxed: Self::ExportPromptsStream = Box::pin(exported.map(|message| message.map_err(status::status)));
        Ok(Response::new(boxed))
    }

    async fn import_prompts(
        &self,
        request: Request<v1::ImportPromptsRequest>,
    ) -> Result<Response<v1::ImportPromptsResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.import(&caller, sent).await)
    }

    async fn update_prompt(
        &self,
        request: Request<v1::UpdatePromptRequest>,
    ) -> Result<Response<v1::UpdatePromptResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.describe(&caller, sent).await)
    }

    async fn batch_get_prompts(
        &self,
        request: Request<v1::BatchGetPromptsRequest>,
    ) -> Result<Response<v1::BatchGetPromptsResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.batch(&caller, sent).await)
    }

    async fn set_label(&self, request: Request<v1::SetLabelRequest>) -> Result<Response<v1::SetLabelResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.set_label_to(&caller, sent).await)
    }

    async fn remove_label(
        &self,
        request: Request<v1::RemoveLabelRequest>,
    ) -> Result<Response<v1::RemoveLabelResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.remove_label_of(&caller, sent).await)
    }

    async fn list_prompt_changes(
        &self,
        request: Request<v1::ListPromptChangesRequest>,
    ) -> Result<Response<v1::ListPromptChangesResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.change_log(&caller, sent).await)
    }

    async fn list_models(
        &self,
        request: Request<v1::ListModelsRequest>,
    ) -> Result<Response<v1::ListModelsResponse>, Status> {
        respond(self.models(request.into_inner()).await)
    }

    async fn put_model(&self, request: Request<v1::PutModelRequest>) -> Result<Response<v1::PutModelResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        respond(self.put_one_model(&caller, sent).await)
    }
}
