//! Changes of existing prompts.

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::{Result, Timestamp};
use prompt_ledger_store::plan::{self, Plan};
use prompt_ledger_store::{ChangeRequest, Changed};
use sqlx::PgConnection;

use super::registry_write::PgRegistryWrite;
use super::select::select;

impl PgRegistryWrite for ChangeRequest {
    type Answer = Changed;

    async fn plan(&self, connection: &mut PgConnection, project: ProjectId, now: Timestamp) -> Result<Plan<Changed>> {
        let found = select(connection, project, &self.name, &self.change.selector()).await?;
        plan::change(found, self.change, self.etag.as_deref(), now)
    }
}
