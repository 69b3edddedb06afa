//! What registering a content finds.

use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Prompt, Version};
use sqlx::PgConnection;

use super::error;
use prompt_ledger_store::PutPrompt;
use prompt_ledger_store::plan::ProjectState;
use prompt_ledger_store::rows::prompt::{self, maybe_prompt, maybe_version};
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

/// The project, the prompt of the name, and its version of the content.
pub(super) async fn read(
    connection: &mut PgConnection,
    project: ProjectId,
    put: &PutPrompt,
) -> Result<(ProjectState, Option<Prompt>, Option<Version>)> {
    let query = sqlx::query(READ).bind(project.0).bind(&put.name).bind(&put.checksum);
    let row = query.fetch_one(connection).await.map_err(error::store)?;
    Ok((prompt::project(&row)?, maybe_prompt(&row)?, maybe_version(&row)?))
}
