//! Imports prompts.

use std::sync::LazyLock;

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::{Result, Timestamp};
use rusqlite::{Connection, ToSql};

use super::registry_write::{SqliteRegistryWrite, no_project};
use super::row;
use super::statement::Script;
use prompt_ledger_store::plan::{self, Plan};
use prompt_ledger_store::rows::prompt::{self, maybe_known, maybe_prompt};
use prompt_ledger_store::{ImportPrompt, Imported};
use prompt_ledger_store::{known_columns, prompt_columns};

/// For each content, in order: the project's prompt with that name, and that prompt's version with that content; NULL where
/// one does not exist. `asked` is a JSON array of [name, checksum].
static READ: LazyLock<Script> = LazyLock::new(|| {
    let sql = concat!("SELECT ", prompt_columns!(), ", ", known_columns!(), " ", include_str!("sql/register_code.sql"));
    Script::new(sql, &["project_id", "asked"])
});

impl SqliteRegistryWrite for ImportPrompt {
    type Answer = Imported;

    fn plan(&self, connection: &Connection, project: ProjectId, now: Timestamp) -> Result<Plan<Imported>> {
        let asked: Vec<_> = self.contents().into_iter().map(|content| (&self.name, content)).collect();
        let asked = row::to_json(&asked)?;
        let mut state = None;
        let known = READ.rows(connection, [&project.to_string() as &dyn ToSql, &asked], |row| {
            if state.is_none() {
                state = Some((prompt::project(row)?, maybe_prompt(row)?));
            }
            maybe_known(row)
        })?;
        let (state, before) = state.ok_or_else(|| no_project(project))?;
        plan::import(&state, before.as_ref(), &known, self, now)
    }
}
