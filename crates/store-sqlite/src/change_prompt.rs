//! Changes of existing prompts.

use std::sync::LazyLock;

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::Prompt;
use prompt_ledger_domain::{Result, Timestamp};
use prompt_ledger_store::plan::{self, ChangedState, Plan};
use prompt_ledger_store::{ChangeRequest, Changed, PromptChange};
use rusqlite::{Connection, ToSql};

use super::registry_write::SqliteRegistryWrite;
use super::row;
use super::select::select;
use super::statement::Script;

static OPAQUE: LazyLock<Script> = LazyLock::new(|| {
    let sql = include_str!("sql/opaque_labelled.sql");
    Script::new(sql, &["prompt_id", "numbers"])
});

/// The opaque ones of the versions that the prompt's labels point at.
fn opaque(connection: &Connection, prompt: &Prompt) -> Result<Vec<i32>> {
    let numbers: Vec<_> = prompt.labels.iter().map(|held| held.version_number).collect();
    let numbers = row::to_json(&numbers)?;
    OPAQUE.rows(connection, [&prompt.id.to_string() as &dyn ToSql, &numbers], |row| row::at(row, 0))
}

impl SqliteRegistryWrite for ChangeRequest {
    type Answer = Changed;

    fn plan(&self, connection: &Connection, project: ProjectId, now: Timestamp) -> Result<Plan<Changed>> {
        let (prompt, version, revision) = select(connection, project, &self.name, &self.change.selector())?;
        let opaque = match &self.change {
            PromptChange::Migrate(_) if !prompt.labels.is_empty() => opaque(connection, &prompt)?,
            _ => Vec::new(),
        };
        plan::change(ChangedState { prompt, version, opaque, revision }, self, now)
    }
}
