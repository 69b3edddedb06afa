//! Reads one prompt with one of its versions.

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Prompt, Selector, Version};
use prompt_ledger_domain::{Error, Result};
use sqlx::PgExecutor;

use super::error;
use super::row::without_nul;
use prompt_ledger_store::rows::prompt::{
    ACTIVE, CHECKSUM, LATEST, NUMBER, maybe_prompt, maybe_version, project_revision,
};

/// The prompt, the version that the selector names, and the project's revision.
pub(super) async fn select(
    connection: &mut sqlx::PgConnection,
    project: ProjectId,
    name: &str,
    selector: &Selector,
) -> Result<(Prompt, Option<Version>, i64)> {
    let row = fetch(connection, project, name, selector).await.map_err(error::store)?;
    read(row, name)
}

/// As [`select`], but returns the row.
pub(super) async fn fetch(
    executor: impl PgExecutor<'_>,
    project: ProjectId,
    name: &str,
    selector: &Selector,
) -> sqlx::Result<Option<sqlx::postgres::PgRow>> {
    let query = match selector {
        Selector::Active => sqlx::query(ACTIVE).bind(project.0).bind(without_nul(name)),
        Selector::Latest => sqlx::query(LATEST).bind(project.0).bind(without_nul(name)),
        Selector::Number(number) => sqlx::query(NUMBER).bind(project.0).bind(without_nul(name)).bind(*number),
        Selector::Checksum(checksum) => {
            sqlx::query(CHECKSUM).bind(project.0).bind(without_nul(name)).bind(without_nul(checksum))
        }
    };
    query.fetch_optional(executor).await
}

/// Converts the row of [`fetch`]; PROMPT_NOT_FOUND where there is none.
pub(super) fn read(row: Option<sqlx::postgres::PgRow>, name: &str) -> Result<(Prompt, Option<Version>, i64)> {
    let row = row.ok_or_else(|| Error::prompt_not_found(name))?;
    let prompt = maybe_prompt(&row)?.ok_or_else(|| Error::prompt_not_found(name))?;
    Ok((prompt, maybe_version(&row)?, project_revision(&row)?))
}
