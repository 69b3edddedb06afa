//! Imports prompts.

use std::sync::LazyLock;

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::{Result, Timestamp};
use sqlx::PgConnection;

use super::error;
use super::registry_write::{PgRegistryWrite, no_project};
use super::statement::{rows, statement};
use prompt_ledger_store::plan::{self, Plan};
use prompt_ledger_store::rows::prompt::{self, maybe_known, maybe_prompt};
use prompt_ledger_store::{ImportPrompt, Imported};
use prompt_ledger_store::{known_columns, prompt_columns};

/// For each content, in order: the prompt's version with it, NULL where there is none. The first row has the prompt of that
/// name, if there is one.
static READ: LazyLock<String> = LazyLock::new(|| {
    let sql = concat!("SELECT ", prompt_columns!(), ", ", known_columns!(), " ", include_str!("sql/import.sql"));
    statement(sql, ContentRows::COLUMNS, &["project_id", "name"])
});

rows! {
    ContentRows(content: &str) {
        checksum_hash: text = *content,
    }
}

impl PgRegistryWrite for ImportPrompt {
    type Answer = Imported;

    async fn plan(&self, connection: &mut PgConnection, project: ProjectId, now: Timestamp) -> Result<Plan<Imported>> {
        let query = ContentRows::bind(sqlx::query(READ.as_str()), &self.contents()).bind(project.0).bind(&self.name);
        let rows = query.fetch_all(connection).await.map_err(error::store)?;
        let first = rows.first().ok_or_else(|| no_project(project))?;
        let known = rows.iter().map(maybe_known).collect::<Result<Vec<_>>>()?;
        plan::import(&prompt::project(first)?, maybe_prompt(first)?.as_ref(), &known, self, now)
    }
}
