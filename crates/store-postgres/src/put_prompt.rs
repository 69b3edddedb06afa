//! Registers a content under a name.

use std::sync::LazyLock;

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::{Result, Timestamp};
use sqlx::PgConnection;

use super::error;
use super::registry_write::{PgRegistryWrite, no_project};
use super::statement::parameters;
use prompt_ledger_store::parameters::numbered;
use prompt_ledger_store::plan::{self, Plan};
use prompt_ledger_store::rows::prompt::{self, maybe_prompt, maybe_version};
use prompt_ledger_store::{PutPrompt, PutResult};
use prompt_ledger_store::{prompt_columns, version_columns};

/// The project, its prompt with that name, and that prompt's version with that content; NULL where one does not exist.
static READ: LazyLock<String> = LazyLock::new(|| {
    let sql = concat!("SELECT ", prompt_columns!(), ", ", version_columns!(), " ", include_str!("sql/put_prompt.sql"));
    numbered(sql, PutParameters::NAMES)
});

parameters! {
    PutParameters(project: ProjectId, put: &PutPrompt) {
        project_id = project.0,
        name = &put.name,
        checksum_hash = &put.checksum_hash,
    }
}

impl PgRegistryWrite for PutPrompt {
    type Answer = PutResult;

    async fn plan(&self, connection: &mut PgConnection, project: ProjectId, now: Timestamp) -> Result<Plan<PutResult>> {
        let query = PutParameters::query(&READ, project, self);
        let row = query.fetch_optional(connection).await.map_err(error::store)?.ok_or_else(|| no_project(project))?;
        plan::put(&prompt::project(&row)?, maybe_prompt(&row)?.as_ref(), maybe_version(&row)?, self, now)
    }
}
