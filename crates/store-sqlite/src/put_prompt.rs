//! Registers a content under a name.

use std::sync::LazyLock;

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::{Result, Timestamp};
use rusqlite::Connection;

use super::registry_write::{SqliteRegistryWrite, no_project};
use super::statement::{Script, parameters};
use prompt_ledger_store::plan::{self, Plan};
use prompt_ledger_store::rows::prompt::{self, maybe_prompt, maybe_version};
use prompt_ledger_store::{PutPrompt, PutResult};
use prompt_ledger_store::{prompt_columns, version_columns};

/// The project, its prompt with that name, and that prompt's version with that content; NULL where one does not exist.
static READ: LazyLock<Script> = LazyLock::new(|| {
    let sql = concat!("SELECT ", prompt_columns!(), ", ", version_columns!(), " ", include_str!("sql/put_prompt.sql"));
    Script::new(sql, PutPromptParameters::NAMES)
});

parameters! {
    PutPromptParameters(project: ProjectId, put: &PutPrompt) {
        project_id = project.to_string(),
        name = &put.name,
        checksum_hash = &put.checksum_hash,
    }
}

impl SqliteRegistryWrite for PutPrompt {
    type Answer = PutResult;

    fn plan(&self, connection: &Connection, project: ProjectId, now: Timestamp) -> Result<Plan<PutResult>> {
        let found = READ.row(connection, PutPromptParameters::values(project, self), |row| {
            Ok((prompt::project(row)?, maybe_prompt(row)?, maybe_version(row)?))
        })?;
        let (state, before, version) = found.ok_or_else(|| no_project(project))?;
        plan::put(&state, before.as_ref(), version, self, now)
    }
}
