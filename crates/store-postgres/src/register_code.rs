//! Registers prompts from code.

use std::sync::LazyLock;

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::{Result, Timestamp};
use sqlx::PgConnection;

use super::registry_write::{PgRegistryWrite, no_project};
use super::statement::{clean, rows, statement};
use super::{Postgres, error, row};
use prompt_ledger_store::plan::{self, Plan};
use prompt_ledger_store::rows::prompt::{self, maybe_known, maybe_prompt};
use prompt_ledger_store::{CodePrompt, RegisterCode, Registered};
use prompt_ledger_store::{known_columns, prompt_columns};

/// For each element, in order: the project's prompt with that name, and that prompt's version with that content; NULL
/// where one does not exist.
pub(super) static READ: LazyLock<String> = LazyLock::new(|| {
    let sql = concat!("SELECT ", prompt_columns!(), ", ", known_columns!(), " ", include_str!("sql/register_code.sql"));
    statement(sql, CodeRows::COLUMNS, &["project_id"])
});

rows! {
    CodeRows(prompt: CodePrompt) {
        name: text = &prompt.name,
        checksum_hash: text = &prompt.checksum_hash,
    }
}

const MODES: &str = "SELECT name, mode FROM prompts WHERE project_id = $1 AND name = ANY ($2)";

impl PgRegistryWrite for RegisterCode {
    type Answer = Registered;

    async fn plan(
        &self,
        connection: &mut PgConnection,
        project: ProjectId,
        now: Timestamp,
    ) -> Result<Plan<Registered>> {
        let query = CodeRows::bind(sqlx::query(READ.as_str()), &self.prompts).bind(project.0);
        let rows = query.fetch_all(connection).await.map_err(error::store)?;
        let first = rows.first().ok_or_else(|| no_project(project))?;
        let found = rows.iter().map(|row| Ok((maybe_prompt(row)?, maybe_known(row)?))).collect::<Result<Vec<_>>>()?;
        plan::register(&prompt::project(first)?, found, self, now)
    }
}

impl Postgres {
    /// The modes of those of the prompts that exist.
    pub(super) async fn modes_of(&self, project: ProjectId, names: &[&str]) -> Result<Vec<(String, Mode)>> {
        let names: Vec<_> = names.iter().map(|name| clean(name)).collect();
        let read = || sqlx::query(MODES).bind(project.0).bind(&names).fetch_all(&self.calls);
        let rows = error::again(read).await?;
        rows.iter().map(|found| Ok((row::text(found, "name")?, row::word(found, "mode")?))).collect()
    }
}
