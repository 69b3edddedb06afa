//! Registering what code carries.

use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::{Error, Result};
use sqlx::SqliteConnection;

use super::change_prompt::{save, save_version};
use super::{error, now, row};
use prompt_ledger_store::plan::VersionWrite;
use prompt_ledger_store::plan::code::{self, CodeBatch};
use prompt_ledger_store::rows::prompt::{self, maybe_known, maybe_prompt};
use prompt_ledger_store::{RegisterCode, Registered};
use prompt_ledger_store::{known_columns, prompt_columns};

/// The project's ($1) prompt of each name, and that prompt's version of the content beside it ($2, pairs in JSON): each
/// where there is one, in their order.
const READ: &str = concat!(
    "SELECT ",
    prompt_columns!(),
    ", ",
    known_columns!(),
    " FROM json_each($2) a CROSS JOIN projects j ON j.id = $1",
    " LEFT JOIN prompts p ON p.project_id = j.id AND p.name = a.value ->> 0",
    " LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND v.checksum_hash = a.value ->> 1",
    " ORDER BY a.key"
);

const RESTORE: &str = "UPDATE prompt_versions SET status = 'active' WHERE id = $1";

const MODES: &str =
    "SELECT name, mode FROM prompts WHERE project_id = $1 AND name IN (SELECT value FROM json_each($2))";

/// Reads what is there and decides.
pub(super) async fn plan(
    connection: &mut SqliteConnection,
    project: ProjectId,
    code: &RegisterCode,
) -> Result<CodeBatch> {
    let asked: Vec<_> = code.prompts.iter().map(|prompt| (&prompt.name, &prompt.checksum)).collect();
    let rows = sqlx::query(READ)
        .bind(project.to_string())
        .bind(row::to_json(&asked)?)
        .fetch_all(connection)
        .await
        .map_err(error::store)?;
    let first = rows.first();
    let first = first.ok_or_else(|| Error::new(Reason::ProjectNotFound, format!("there is no project {project}")))?;
    let there = rows.iter().map(|row| Ok((maybe_prompt(row)?, maybe_known(row)?))).collect::<Result<Vec<_>>>()?;
    code::register(&prompt::project(first)?, there, code, now())
}

/// Registers a batch, inside a transaction.
pub(super) async fn register(
    connection: &mut SqliteConnection,
    project: ProjectId,
    code: &RegisterCode,
) -> Result<Registered> {
    let batch = plan(connection, project, code).await?;
    for prompt in &batch.prompts {
        save(connection, project, prompt).await?;
    }
    for version in &batch.added {
        save_version(connection, VersionWrite::Add, version).await?;
    }
    for restored in &batch.restored {
        let restore = sqlx::query(RESTORE).bind(restored.to_string());
        restore.execute(&mut *connection).await.map_err(error::store)?;
    }
    Ok(batch.answer)
}

/// The modes of those prompts that exist.
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
