//! Reads one prompt with one of its versions.

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Prompt, Selector, Version};
use prompt_ledger_domain::{Error, Result};
use sqlx::SqliteConnection;

use super::error;
use prompt_ledger_store::rows::prompt::{
    ACTIVE, CHECKSUM, LATEST, NUMBER, maybe_prompt, maybe_version, project_revision,
};

/// The prompt, the version that the selector names, and the project's revision.
pub(super) async fn select(
    connection: &mut SqliteConnection,
    project: ProjectId,
    name: &str,
    selector: &Selector,
) -> Result<(Prompt, Option<Version>, i64)> {
    let (project, name_bound) = (project.to_string(), name);
    let query = match selector {
        Selector::Active => sqlx::query(ACTIVE).bind(project).bind(name_bound),
        Selector::Latest => sqlx::query(LATEST).bind(project).bind(name_bound),
        Selector::Number(number) => sqlx::query(NUMBER).bind(project).bind(name_bound).bind(*number),
        Selector::Checksum(checksum) => sqlx::query(CHECKSUM).bind(project).bind(name_bound).bind(checksum),
    };
    let row =
        query.fetch_optional(connection).await.map_err(error::store)?.ok_or_else(|| Error::prompt_not_found(name))?;
    let prompt = maybe_prompt(&row)?.ok_or_else(|| Error::prompt_not_found(name))?;
    Ok((prompt, maybe_version(&row)?, project_revision(&row)?))
}
