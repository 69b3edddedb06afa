//! Registering a content under a name.

use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::{Error, Result};
use sqlx::SqliteConnection;

use super::change_prompt::{save, save_version};
use super::{error, now, row};
use prompt_ledger_store::plan;
use prompt_ledger_store::rows::prompt::{maybe_prompt, maybe_version, project_revision};
use prompt_ledger_store::{PutPrompt, PutResult};
use prompt_ledger_store::{prompt_columns, version_columns};

/// The project ($1), its prompt of that name ($2), and that prompt's version of that content ($3): each where there is
/// one.
const READ: &str = concat!(
    "SELECT ",
    prompt_columns!(),
    ", ",
    version_columns!(),
    " FROM projects j LEFT JOIN prompts p ON p.project_id = j.id AND p.name = $2",
    " LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND v.checksum_hash = $3",
    " WHERE j.id = $1"
);

pub(super) async fn put_prompt(
    connection: &mut SqliteConnection,
    project: ProjectId,
    put: &PutPrompt,
) -> Result<PutResult> {
    let row = sqlx::query(READ)
        .bind(project.to_string())
        .bind(&put.name)
        .bind(&put.checksum)
        .fetch_optional(&mut *connection)
        .await
        .map_err(error::store)?
        .ok_or_else(|| Error::new(Reason::ProjectNotFound, format!("there is no project {project}")))?;
    let found = plan::ProjectState { name: row::text(&row, "project")?, revision: project_revision(&row)? };
    let plan = plan::put(&found, maybe_prompt(&row)?.as_ref(), maybe_version(&row)?, put, now())?;
    if plan.prompt {
        save(connection, project, &plan.answer.prompt).await?;
    }
    save_version(connection, plan.version, &plan.answer.version).await?;
    Ok(plan.answer)
}
