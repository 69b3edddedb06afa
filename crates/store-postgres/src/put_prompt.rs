//! Registers a content under a name.

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::{Result, Timestamp};
use sqlx::PgConnection;

use super::error;
use super::registry_write::{PgRegistryWrite, no_project};
use prompt_ledger_store::plan::{self, Plan};
use prompt_ledger_store::rows::prompt::{self, maybe_prompt, maybe_version};
use prompt_ledger_store::{PutPrompt, PutResult};
use prompt_ledger_store::{prompt_columns, version_columns};

/// The project ($1), its prompt with that name ($2), and that prompt's version with that content ($3); NULL where one
/// does not exist.
const READ: &str = concat!(
    "SELECT ",
    prompt_columns!(),
    ", ",
    version_columns!(),
    " FROM projects j LEFT JOIN prompts p ON p.project_id = j.id AND p.name = $2",
    " LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND v.checksum_hash = $3",
    " WHERE j.id = $1"
);

impl PgRegistryWrite for PutPrompt {
    type Answer = PutResult;

    async fn plan(&self, connection: &mut PgConnection, project: ProjectId, now: Timestamp) -> Result<Plan<PutResult>> {
        let query = sqlx::query(READ).bind(project.0).bind(&self.name).bind(&self.checksum_hash);
        let row = query.fetch_optional(connection).await.map_err(error::store)?.ok_or_else(|| no_project(project))?;
        plan::put(&prompt::project(&row)?, maybe_prompt(&row)?.as_ref(), maybe_version(&row)?, self, now)
    }
}
