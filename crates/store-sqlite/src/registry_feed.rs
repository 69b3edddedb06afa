//! Reads for streams of prompts.

use std::sync::LazyLock;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::{ProjectId, PromptId};
use prompt_ledger_domain::prompt::{Prompt, Version};
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::prompt::{maybe_prompt, maybe_version};
use prompt_ledger_store::{ChangedPrompt, RegistryFeed};
use prompt_ledger_store::{prompt_columns, version_columns};
use rusqlite::{Connection, ToSql};

use super::registry::revision_of;
use super::statement::{Script, parameters};
use super::{Sqlite, row};

/// Prompts by revision.
static CHANGED_AFTER: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/changed_after.sql"), ChangedParameters::NAMES));

parameters! {
    ChangedParameters(project: ProjectId, after: i64, limit: usize) {
        project_id = project.to_string(),
        after = after,
        most = count(limit),
    }
}

/// `names` is a JSON array.
static PROMPTS_NAMED: LazyLock<Script> = LazyLock::new(|| {
    let sql = concat!(
        "SELECT ",
        prompt_columns!(),
        " FROM projects j JOIN prompts p ON p.project_id = j.id",
        " WHERE j.id = :project_id AND p.name IN (SELECT value FROM json_each(:names))"
    );
    Script::new(sql, &["project_id", "names"])
});

/// `versions` is a JSON array of arrays: a prompt's id, and a number.
static VERSIONS_NUMBERED: LazyLock<Script> = LazyLock::new(|| {
    let sql = concat!(
        "SELECT ",
        version_columns!(),
        " FROM json_each(:versions) n CROSS JOIN prompt_versions v",
        " ON v.prompt_id = n.value ->> 0 AND v.version_number = n.value ->> 1"
    );
    Script::new(sql, &["versions"])
});

#[cfg(test)]
pub(super) fn scripts() -> [&'static Script; 3] {
    [&CHANGED_AFTER, &PROMPTS_NAMED, &VERSIONS_NUMBERED]
}

#[async_trait]
impl RegistryFeed for Sqlite {
    async fn revision(&self, project: ProjectId) -> Result<i64> {
        self.readers.read(move |connection| revision_of(connection, project)).await
    }

    async fn changed_after(&self, project: ProjectId, after: i64, limit: usize) -> Result<(Vec<ChangedPrompt>, i64)> {
        let changed = move |connection: &Connection| {
            let present = revision_of(connection, project)?;
            let parameters = ChangedParameters::values(project, after, limit);
            let changed = CHANGED_AFTER.rows(connection, parameters, |found| {
                Ok(ChangedPrompt { revision: row::value(found, "revision")?, name: row::text(found, "name")? })
            })?;
            Ok((changed, present))
        };
        self.readers.snapshot(changed).await
    }

    async fn prompts_named(&self, project: ProjectId, names: &[&str]) -> Result<Vec<Prompt>> {
        let names = row::to_json(&names)?;
        let named = move |connection: &Connection| {
            let parameters = [&project.to_string() as &dyn ToSql, &names];
            let found = PROMPTS_NAMED.rows(connection, parameters, |found| maybe_prompt(found))?;
            Ok(found.into_iter().flatten().collect())
        };
        self.readers.read(named).await
    }

    async fn versions_numbered(&self, of: &[(PromptId, i32)]) -> Result<Vec<Version>> {
        let versions: Vec<_> = of.iter().map(|(prompt, number)| (prompt.to_string(), *number)).collect();
        let versions = row::to_json(&versions)?;
        let numbered = move |connection: &Connection| {
            let found = VERSIONS_NUMBERED.rows(connection, [&versions as &dyn ToSql], |found| maybe_version(found))?;
            Ok(found.into_iter().flatten().collect())
        };
        self.readers.read(numbered).await
    }
}
