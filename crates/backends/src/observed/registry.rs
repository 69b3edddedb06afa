//! Prompts, models, projects and keys.

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::{KeyId, ProjectId, PromptId};
use prompt_ledger_domain::model::{Model, ModelRef};
use prompt_ledger_domain::prompt::{Mode, Prompt, Selector, Version};
use prompt_ledger_domain::prompt_log::{ChangeEntry, ChangeKind};
use prompt_ledger_observe::store::{StoreGroup, timed};
use prompt_ledger_store::{
    Access, ApiKey, ChangeRequest, Changed, ChangedPrompt, ImportPrompt, Imported, Models, NewApiKey, Project,
    PromptFilter, PromptWithActive, PutModel, PutPrompt, PutResult, RegisterCode, Registered, Registry, RegistryFeed,
    ResolvedVersion, Revisions, Walked,
};

use super::ObservedStore;

#[async_trait]
impl Registry for ObservedStore {
    async fn put_prompt(&self, project: ProjectId, put: PutPrompt) -> Result<PutResult> {
        timed(StoreGroup::Registry, self.0.put_prompt(project, put)).await
    }

    async fn register_code(&self, project: ProjectId, code: RegisterCode) -> Result<Registered> {
        timed(StoreGroup::Registry, self.0.register_code(project, code)).await
    }

    async fn import_prompt(&self, project: ProjectId, import: ImportPrompt) -> Result<Imported> {
        timed(StoreGroup::Registry, self.0.import_prompt(project, import)).await
    }

    async fn modes(&self, project: ProjectId, names: &[&str]) -> Result<Vec<(String, Mode)>> {
        timed(StoreGroup::Registry, self.0.modes(project, names)).await
    }

    async fn prompt(&self, project: ProjectId, name: &str) -> Result<PromptWithActive> {
        timed(StoreGroup::Registry, self.0.prompt(project, name)).await
    }

    async fn prompts(
        &self,
        project: ProjectId,
        filter: &PromptFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Walked<PromptWithActive, String>, i64)> {
        timed(StoreGroup::List, self.0.prompts(project, filter, after, limit)).await
    }

    async fn version(&self, project: ProjectId, name: &str, selector: &Selector) -> Result<ResolvedVersion> {
        timed(StoreGroup::Registry, self.0.version(project, name, selector)).await
    }

    async fn versions(
        &self,
        project: ProjectId,
        name: &str,
        before: Option<i32>,
        limit: usize,
    ) -> Result<(Vec<Version>, i64)> {
        timed(StoreGroup::List, self.0.versions(project, name, before, limit)).await
    }

    async fn change(&self, project: ProjectId, asked: ChangeRequest) -> Result<Changed> {
        timed(StoreGroup::Registry, self.0.change(project, asked)).await
    }

    async fn prompt_changes(
        &self,
        project: ProjectId,
        name: &str,
        kinds: &[ChangeKind],
        before: Option<(i64, i32)>,
        limit: usize,
    ) -> Result<(Walked<ChangeEntry, (i64, i32)>, i64)> {
        timed(StoreGroup::List, self.0.prompt_changes(project, name, kinds, before, limit)).await
    }

    async fn revisions(&self, projects: &[ProjectId]) -> Result<Revisions> {
        timed(StoreGroup::Revisions, self.0.revisions(projects)).await
    }
}

#[async_trait]
impl RegistryFeed for ObservedStore {
    async fn revision(&self, project: ProjectId) -> Result<i64> {
        timed(StoreGroup::Revisions, self.0.revision(project)).await
    }

    async fn changed_after(&self, project: ProjectId, after: i64, limit: usize) -> Result<(Vec<ChangedPrompt>, i64)> {
        timed(StoreGroup::Registry, self.0.changed_after(project, after, limit)).await
    }

    async fn prompts_named(&self, project: ProjectId, names: &[&str]) -> Result<Vec<Prompt>> {
        timed(StoreGroup::Registry, self.0.prompts_named(project, names)).await
    }

    async fn versions_numbered(&self, of: &[(PromptId, i32)]) -> Result<Vec<Version>> {
        timed(StoreGroup::Registry, self.0.versions_numbered(of)).await
    }
}

#[async_trait]
impl Models for ObservedStore {
    async fn model(&self, id: &ModelRef) -> Result<Option<Model>> {
        timed(StoreGroup::Registry, self.0.model(id)).await
    }

    async fn models(&self, provider: &str, after: Option<&ModelRef>, limit: usize) -> Result<Vec<Model>> {
        timed(StoreGroup::Registry, self.0.models(provider, after, limit)).await
    }

    async fn put_model(&self, put: PutModel) -> Result<Model> {
        timed(StoreGroup::Registry, self.0.put_model(put)).await
    }

    async fn discover_model(&self, id: &ModelRef, most: usize) -> Result<Option<Model>> {
        timed(StoreGroup::Registry, self.0.discover_model(id, most)).await
    }
}

#[async_trait]
impl Access for ObservedStore {
    async fn project(&self, name: &str) -> Result<Option<Project>> {
        timed(StoreGroup::Registry, self.0.project(name)).await
    }

    async fn create_project(&self, id: ProjectId, name: &str) -> Result<Project> {
        timed(StoreGroup::Registry, self.0.create_project(id, name)).await
    }

    async fn key(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>> {
        timed(StoreGroup::Registry, self.0.key(hash)).await
    }

    async fn good_keys(&self, hashes: &[[u8; 32]]) -> Result<Vec<[u8; 32]>> {
        timed(StoreGroup::Registry, self.0.good_keys(hashes)).await
    }

    async fn create_key(&self, key: NewApiKey) -> Result<ApiKey> {
        timed(StoreGroup::Registry, self.0.create_key(key)).await
    }

    async fn keys(&self) -> Result<Vec<ApiKey>> {
        timed(StoreGroup::Registry, self.0.keys()).await
    }

    async fn revoke_key(&self, id: KeyId) -> Result<Option<ApiKey>> {
        timed(StoreGroup::Registry, self.0.revoke_key(id)).await
    }
}
