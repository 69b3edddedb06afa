//! Registers prompts from code.

use std::sync::LazyLock;

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::{Result, Timestamp};
use prompt_ledger_store::parameters;
use prompt_ledger_store::parameters::numbered;
use sqlx::SqliteConnection;

use super::registry_write::{SqliteRegistryWrite, no_project};
use super::{error, row};
use prompt_ledger_store::plan::{self, Plan};
use prompt_ledger_store::rows::prompt::{self, maybe_known, maybe_prompt};
use prompt_ledger_store::{RegisterCode, Registered};
use prompt_ledger_store::{known_columns, prompt_columns};

/// For each prompt asked for, in order: the project's prompt with that name, and that prompt's version with that
/// content; NULL where one does not exist.
static READ: LazyLock<String> = LazyLock::new(|| {
    let sql = concat!("SELECT ", prompt_columns!(), ", ", known_columns!(), " ", include_str!("sql/register_code.sql"));
    numbered(sql, RegisterCodeParameters::NAMES)
});

parameters! {
    /// `asked` is a JSON array of [name, checksum].
    RegisterCodeParameters(project: ProjectId, asked: String) of sqlx::Sqlite {
        project_id = project.to_string(),
        asked = asked,
    }
}

const MODES: &str =
    "SELECT name, mode FROM prompts WHERE project_id = $1 AND name IN (SELECT value FROM json_each($2))";

impl SqliteRegistryWrite for RegisterCode {
    type Answer = Registered;

    async fn plan(
        &self,
        connection: &mut SqliteConnection,
        project: ProjectId,
        now: Timestamp,
    ) -> Result<Plan<Registered>> {
        let asked: Vec<_> = self.prompts.iter().map(|prompt| (&prompt.name, &prompt.checksum_hash)).collect();
        let query = RegisterCodeParameters::query(&READ, project, row::to_json(&asked)?);
        let rows = query.fetch_all(connection).await.map_err(error::store)?;
        let first = rows.first().ok_or_else(|| no_project(project))?;
        let found = rows.iter().map(|row| Ok((maybe_prompt(row)?, maybe_known(row)?))).collect::<Result<Vec<_>>>()?;
        plan::register(&prompt::project(first)?, found, self, now)
    }
}

/// The modes of those of the prompts that exist.
pub(super) async fn modes(
    connection: &mut SqliteConnection,
    project: ProjectId,
    names: &[&str],
) -> Result<Vec<(String, Mode)>> {
    let rows = sqlx::query(MODES)
        .bind(project.to_string())
        .bind(row::to_json(&names)?)
        .fetch_all(connection)
        .await
        .map_err(error::store)?;
    rows.iter().map(|found| Ok((row::text(found, "name")?, row::word(found, "mode", Mode::from_word)?))).collect()
}
