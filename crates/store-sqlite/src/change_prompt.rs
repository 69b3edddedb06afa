//! Changes of existing prompts.

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::{Result, Timestamp};
use prompt_ledger_store::plan::{self, Plan};
use prompt_ledger_store::{ChangeRequest, Changed};
use rusqlite::Connection;

use super::registry_write::SqliteRegistryWrite;
use super::select::select;

impl SqliteRegistryWrite for ChangeRequest {
    type Answer = Changed;

    fn plan(&self, connection: &Connection, project: ProjectId, now: Timestamp) -> Result<Plan<Changed>> {
        let found = select(connection, project, &self.name, &self.change.selector())?;
        plan::change(found, self.change, self.etag.as_deref(), now)
    }
}
