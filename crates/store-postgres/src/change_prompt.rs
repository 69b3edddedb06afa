//! Changing a prompt that exists.

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::{Result, Timestamp};
use prompt_ledger_store::plan::{self, Plan};
use prompt_ledger_store::{Changed, PromptChange};
use sqlx::PgConnection;

use super::registry_write::RegistryWrite;
use super::select::select;

/// A change, and what it is asked of.
pub(super) struct ChangeRequest<'a> {
    pub(super) name: &'a str,
    pub(super) etag: Option<&'a str>,
    pub(super) change: PromptChange,
}

impl RegistryWrite for ChangeRequest<'_> {
    type Answer = Changed;

    async fn plan(&self, connection: &mut PgConnection, project: ProjectId, now: Timestamp) -> Result<Plan<Changed>> {
        let found = select(connection, project, self.name, &self.change.selector()).await?;
        plan::change(found, self.change, self.etag, now)
    }
}
