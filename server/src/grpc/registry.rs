//! RegistryService.

mod changes;
mod render;
mod transfer;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::{Stream, StreamExt as _};
use prompt_ledger_domain::error::Violations;
use prompt_ledger_domain::field::Name;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::{Result, field, limits, page};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::registry_service_server::RegistryService as Api;
use prompt_ledger_store::{Changed, PromptChange, PromptFilter, PromptWithActive, ResolvedVersion};
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::convert::{content, known, model, prompt, required};
use super::{into_parts, respond, status};
use crate::service::registry::{PromptHistory, Put, VersionPage, WrittenBy};
use crate::service::{Caller, ModelService, PageReader, RegistryService};

pub struct RegistryApi {
    pub registry: Arc<RegistryService>,
    pub models: Arc<ModelService>,
    /// What a version without a model of its own is executed with; absent: nothing.
    pub default_model: Option<ModelRef>,
}

impl RegistryApi {
    async fn put(&self, caller: &Caller, sent: v1::PutPromptRequest) -> Result<v1::PutPromptResponse> {
        let mut violations = Violations::default();
        let put = Put {
            name: sent.name,
            content: content::put("", sent.template, sent.config, &mut violations),
            description: sent.description,
            owner_team: sent.owner_team,
            tags: sent.tags.map(|tags| tags.values),
            created_by: sent.created_by,
            note: sent.note,
            set_active: sent.set_active,
            labels: sent.labels,
            create_only: sent.create_only,
            etag: sent.etag,
            key: caller.asking_key(),
            violations,
        };
        let (result, mut warnings) = self.registry.put(caller.project.id, put).await?;
        warnings.extend(self.models.doubts(&[Some(&result.version.content)]).await.into_iter().flatten());
        Ok(v1::PutPromptResponse {
            version: Some(prompt::version(result.version, &result.prompt)),
            prompt: Some(prompt::prompt(result.prompt)),
            version_change: result.version_change,
            activated: result.activated,
            warnings,
            revision: result.revision,
        })
    }

    async fn get(&self, caller: &Caller, sent: v1::GetPromptRequest) -> Result<v1::GetPromptResponse> {
        let entry = self.registry.get(caller.project.id, &sent.name, sent.min_revision).await?;
        let found = &entry.found;
        Ok(v1::GetPromptResponse {
            active_version: found.active.clone().map(|version| prompt::version(version, &found.prompt)),
            prompt: Some(prompt::prompt(found.prompt.clone())),
            revision: found.revision,
        })
    }

    async fn list(&self, caller: &Caller, sent: v1::ListPromptsRequest) -> Result<v1::ListPromptsResponse> {
        let mode = prompt::mode_filter(known("mode", sent.mode)?);
        let archived = if sent.include_archived { "archived" } else { "" };
        let mode_word = mode.map_or("", <&str>::from);
        let (tag, query, label) = (sent.tag, sent.query, sent.label);
        let (team, prefix) = (&*sent.owner_team, &*sent.name_prefix);
        let scope = ["prompts", &caller.project.name, mode_word, team, prefix, archived, &tag, &query, &label];
        let asked = PageReader::new(&scope, sent.page_size, &sent.page_token)?;
        let filter = &PromptFilter {
            mode,
            owner_team: field::text("owner_team", sent.owner_team, limits::SHORT_TEXT_BYTES)?,
            name_prefix: field::text("name_prefix", sent.name_prefix, limits::NAME_BYTES)?,
            include_archived: sent.include_archived,
            tag: field::text("tag", tag, limits::TAG_BYTES)?,
            words: words(&field::text("query", query, limits::SHORT_TEXT_BYTES)?),
            label: field::text("label", label, limits::NAME_BYTES)?,
        };
        let read_at = &AtomicI64::new(i64::MAX);
        let fetch = async |after: Option<String>, limit| {
            if after.as_deref().is_some_and(|name| Name::parse("page_token", name).is_err()) {
                return Err(page::foreign());
            }
            let (found, revision) = self.registry.list(caller.project.id, filter, after.as_deref(), limit).await?;
            read_at.fetch_min(revision, Ordering::Relaxed);
            let row = |found: PromptWithActive| {
                let version = found.active.map(|version| prompt::version(version, &found.prompt));
                (prompt::prompt(found.prompt), version)
            };
            Ok(found.map(row))
        };
        let bytes = |(prompt, version): &(v1::Prompt, Option<v1::PromptVersion>)| {
            prompt.encoded_len() + version.as_ref().map_or(0, prost::Message::encoded_len)
        };
        let (rows, next_page_token) = asked.walk(fetch, bytes, |(prompt, _)| prompt.name.clone()).await?;
        let (prompts, active): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let active_versions = active.into_iter().flatten().collect();
        Ok(v1::ListPromptsResponse {
            prompts,
            active_versions,
            next_page_token,
            revision: read_at.load(Ordering::Relaxed),
        })
    }

    async fn version(&self, caller: &Caller, sent: v1::GetVersionRequest) -> Result<v1::GetVersionResponse> {
        let selector = prompt::selector(&sent.name, sent.selector.map(prompt::version_selector))?;
        let resolved =
            self.registry.version(caller.project.id, &sent.name, selector.as_ref(), sent.min_revision).await?;
        let ResolvedVersion { prompt: of, version, revision } = resolved.found;
        Ok(v1::GetVersionResponse { version: Some(prompt::version(version, &of)), revision })
    }

    async fn versions(&self, caller: &Caller, sent: v1::ListVersionsRequest) -> Result<v1::ListVersionsResponse> {
        let scope = ["versions", &caller.project.name, &sent.name];
        let asked = PageReader::new(&scope, sent.page_size, &sent.page_token)?;
        let VersionPage { versions, next_page_token, revision } =
            self.registry.versions(caller.project.id, &sent.name, asked).await?;
        let entry = self.registry.get(caller.project.id, &sent.name, None).await?;
        let versions = versions.into_iter().map(|version| prompt::version(version, &entry.found.prompt)).collect();
        Ok(v1::ListVersionsResponse { versions, next_page_token, revision })
    }

    async fn history(
        &self,
        caller: &Caller,
        sent: v1::GetPromptHistoryRequest,
    ) -> Result<v1::GetPromptHistoryResponse> {
        let mode = prompt::mode_filter(known("mode", sent.mode)?);
        let scope = ["history", &caller.project.name, &sent.name];
        let asked = PageReader::new(&scope, sent.page_size, &sent.page_token);
        let PromptHistory { prompt: of, page, counts } =
            self.registry.history(caller.project.id, &sent.name, mode, asked).await?;
        let counted =
            |(version, count)| v1::PromptVersion { execution_count: Some(count), ..prompt::version(version, &of) };
        Ok(v1::GetPromptHistoryResponse {
            mode: prompt::mode(of.mode).into(),
            current_version: of.active_version,
            versions: page.versions.into_iter().zip(counts).map(counted).collect(),
            next_page_token: page.next_page_token,
            revision: page.revision,
            prompt_name: of.name,
        })
    }

    async fn models(&self, sent: v1::ListModelsRequest) -> Result<v1::ListModelsResponse> {
        let asked = PageReader::new(&["models", &sent.provider], sent.page_size, &sent.page_token)?;
        let fetch = async |after: Option<String>, limit| {
            let after = after.map(|key| model::cursor(&key).ok_or_else(page::foreign)).transpose()?;
            let found = self.models.list(&sent.provider, after.as_ref(), limit).await?;
            Ok(found.into_iter().map(model::model).collect())
        };
        let (models, next_page_token) = asked.read(fetch, prost::Message::encoded_len, model::key).await?;
        Ok(v1::ListModelsResponse { models, next_page_token })
    }
}

/// The words of a query.
fn words(query: &str) -> Vec<String> {
    query.split_whitespace().map(str::to_owned).collect()
}

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
        respond(self.version(&caller, sent).await)
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
        let (project, by) = (caller.project.id, WrittenBy::key(&caller));
        let activate = prompt::version_number(sent.version_number).map(PromptChange::Activate);
        let changed = self.registry.change_prompt(project, &sent.name, sent.etag, activate, by).await;
        respond(changed.map(|changed| v1::SetActiveVersionResponse {
            active_version: changed.version.map(|version| prompt::version(version, &changed.prompt)),
            prompt: Some(prompt::prompt(changed.prompt)),
            revision: changed.revision,
        }))
    }

    async fn set_version_status(
        &self,
        request: Request<v1::SetVersionStatusRequest>,
    ) -> Result<Response<v1::SetVersionStatusResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        let set = async {
            let status = known("status", sent.status).map(prompt::wanted_status);
            let status = status.and_then(|status| required("status", status));
            let (project, by) = (caller.project.id, WrittenBy::key(&caller));
            let set = prompt::version_number(sent.version_number)
                .and_then(|number| status.map(|status| PromptChange::SetStatus(number, status)));
            let changed = self.registry.change_prompt(project, &sent.name, sent.etag, set, by).await?;
            Ok(v1::SetVersionStatusResponse {
                version: changed.version.map(|version| prompt::version(version, &changed.prompt)),
                prompt: Some(prompt::prompt(changed.prompt)),
                revision: changed.revision,
            })
        };
        respond(set.await)
    }

    async fn archive_prompt(
        &self,
        request: Request<v1::ArchivePromptRequest>,
    ) -> Result<Response<v1::ArchivePromptResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        let (project, by) = (caller.project.id, WrittenBy::key(&caller));
        let changed = self.registry.change_prompt(project, &sent.name, sent.etag, Ok(PromptChange::Archive), by).await;
        respond(changed.map(|Changed { prompt: of, revision, .. }| v1::ArchivePromptResponse {
            prompt: Some(prompt::prompt(of)),
            revision,
        }))
    }

    async fn unarchive_prompt(
        &self,
        request: Request<v1::UnarchivePromptRequest>,
    ) -> Result<Response<v1::UnarchivePromptResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        let (project, by) = (caller.project.id, WrittenBy::key(&caller));
        let changed =
            self.registry.change_prompt(project, &sent.name, sent.etag, Ok(PromptChange::Unarchive), by).await;
        respond(changed.map(|Changed { prompt: of, revision, .. }| v1::UnarchivePromptResponse {
            prompt: Some(prompt::prompt(of)),
            revision,
        }))
    }

    async fn migrate_prompt_mode(
        &self,
        request: Request<v1::MigratePromptModeRequest>,
    ) -> Result<Response<v1::MigratePromptModeResponse>, Status> {
        let (caller, sent) = into_parts(request)?;
        let migrate = async {
            let mode = required("mode", prompt::mode_filter(known("mode", sent.mode)?))?;
            let (project, by) = (caller.project.id, WrittenBy::key(&caller));
            self.registry.change_prompt(project, &sent.name, sent.etag, Ok(PromptChange::Migrate(mode)), by).await
        };
        respond(migrate.await.map(|changed| v1::MigratePromptModeResponse {
            prompt: Some(prompt::prompt(changed.prompt)),
            revision: changed.revision,
        }))
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
        _: Request<v1::WatchPromptsRequest>,
    ) -> Result<Response<Self::WatchPromptsStream>, Status> {
        Err(status::unimplemented(status::WATCH_PROMPTS))
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
        let put = async {
            caller.check_system(status::PUT_MODEL)?;
            self.models.put(model::put(sent)?).await
        };
        respond(put.await.map(|put| v1::PutModelResponse { model: Some(model::model(put)) }))
    }
}
