//! Registers prompts from code.

use std::sync::LazyLock;

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::{Result, Timestamp};
use rusqlite::{Connection, ToSql};

use super::registry_write::{SqliteRegistryWrite, no_project};
use super::row;
use super::statement::{Script, parameters};
use prompt_ledger_store::plan::{self, Plan};
use prompt_ledger_store::rows::prompt::{self, maybe_known, maybe_prompt};
use prompt_ledger_store::{RegisterCode, Registered};
use prompt_ledger_store::{known_columns, prompt_columns};

/// For each prompt asked for, in order: the project's prompt with that name, and that prompt's version with that
/// content; NULL where one does not exist.
static READ: LazyLock<Script> = LazyLock::new(|| {
    let sql = concat!("SELECT ", prompt_columns!(), ", ", known_columns!(), " ", include_str!("sql/register_code.sql"));
    Script::new(sql, RegisterCodeParameters::NAMES)
});

parameters! {
    /// `asked` is a JSON array of [name, checksum].
    RegisterCodeParameters(project: ProjectId, asked: &str) {
        project_id = project.to_string(),
        asked = asked,
    }
}

static MODES: LazyLock<Script> = LazyLock::new(|| {
    let sql = include_str!("sql/modes.sql");
    Script::new(sql, &["project_id", "names"])
});

impl SqliteRegistryWrite for RegisterCode {
    type Answer = Registered;

    fn plan(&self, connection: &Connection, project: ProjectId, now: Timestamp) -> Result<Plan<Registered>> {
        let asked: Vec<_> = self.prompts.iter().map(|prompt| (&prompt.name, &prompt.checksum_hash)).collect();
        let asked = row::to_json(&asked)?;
        let mut state = None;
        let found = READ.rows(connection, RegisterCodeParameters::values(project, &asked), |row| {
            if state.is_none() {
                state = Some(prompt::project(row)?);
            }
            Ok((maybe_prompt(row)?, maybe_known(row)?))
        })?;
        plan::register(&state.ok_or_else(|| no_project(project))?, found, self, now)
    }
}

/// The modes of those of the prompts that exist. `names` is a JSON array.
pub(super) fn modes(connection: &Connection, project: ProjectId, names: &str) -> Result<Vec<(String, Mode)>> {
    MODES.rows(connection, [&project.to_string() as &dyn ToSql, &names], |found| {
        Ok((row::text(found, "name")?, row::word(found, "mode")?))
    })
}
