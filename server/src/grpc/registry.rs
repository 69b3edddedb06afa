//! RegistryService.

mod changes;
mod lifecycle;
mod render;
mod rpcs;
mod transfer;
mod watching;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use prompt_ledger_domain::error::Violations;
use prompt_ledger_domain::field::Name;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::{Result, field, limits, page};
use prompt_ledger_proto::v1;
use prompt_ledger_store::{PromptFilter, PromptWithActive, ResolvedVersion};
use prost::Message as _;

use super::convert::{content, known, model, prompt};
use crate::service::registry::{PromptHistory, Put, VersionPage};
use crate::service::{Caller, ModelService, PageReader, RegistryService};
use crate::watch::PromptWatches;

pub struct RegistryApi {
    pub registry: Arc<RegistryService>,
    pub watches: Arc<PromptWatches>,
    pub models: Arc<ModelService>,
    /// What a version without a model of its own is executed with; absent: nothing.
    pub default_model: Option<ModelRef>,
}

impl RegistryApi {
    pub(crate) async fn put(&self, caller: &Caller, sent: v1::PutPromptRequest) -> Result<v1::PutPromptResponse> {
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

    pub(crate) async fn get(&self, caller: &Caller, sent: v1::GetPromptRequest) -> Result<v1::GetPromptResponse> {
        let entry = self.registry.get(caller.project.id, &sent.name, sent.min_revision).await?;
        let found = &entry.found;
        Ok(v1::GetPromptResponse {
            active_version: found.active.clone().map(|version| prompt::version(version, &found.prompt)),
            prompt: Some(prompt::prompt(found.prompt.clone())),
            revision: found.revision,
        })
    }

    pub(crate) async fn list(&self, caller: &Caller, sent: v1::ListPromptsRequest) -> Result<v1::ListPromptsResponse> {
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

    /// A version, and its prompt.
    pub(crate) async fn version(
        &self,
        caller: &Caller,
        sent: v1::GetVersionRequest,
    ) -> Result<(v1::GetVersionResponse, v1::Prompt)> {
        let selector = prompt::selector(&sent.name, sent.selector.map(prompt::version_selector))?;
        let resolved =
            self.registry.version(caller.project.id, &sent.name, selector.as_ref(), sent.min_revision).await?;
        let ResolvedVersion { prompt: of, version, revision } = resolved.found;
        let version = Some(prompt::version(version, &of));
        Ok((v1::GetVersionResponse { version, revision }, prompt::prompt(of)))
    }

    pub(crate) async fn versions(
        &self,
        caller: &Caller,
        sent: v1::ListVersionsRequest,
    ) -> Result<v1::ListVersionsResponse> {
        let scope = ["versions", &caller.project.name, &sent.name];
        let asked = PageReader::new(&scope, sent.page_size, &sent.page_token)?;
        let VersionPage { versions, next_page_token, revision } =
            self.registry.versions(caller.project.id, &sent.name, asked).await?;
        let entry = self.registry.get(caller.project.id, &sent.name, None).await?;
        let versions = versions.into_iter().map(|version| prompt::version(version, &entry.found.prompt)).collect();
        Ok(v1::ListVersionsResponse { versions, next_page_token, revision })
    }

    pub(crate) async fn history(
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

    pub(crate) async fn models(&self, sent: v1::ListModelsRequest) -> Result<v1::ListModelsResponse> {
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
