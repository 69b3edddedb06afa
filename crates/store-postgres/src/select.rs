//! Reads one prompt with one of its versions.

use std::sync::LazyLock;

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Prompt, Selector, Version};
use prompt_ledger_domain::{Error, Result};
use sqlx::PgExecutor;

use super::error;
use super::row::without_nul;
use super::statement::parameters;
use prompt_ledger_store::parameters::numbered;
use prompt_ledger_store::rows::prompt::{self, maybe_prompt, maybe_version, project_revision};

static ACTIVE: LazyLock<String> = LazyLock::new(|| numbered(prompt::ACTIVE, NamedParameters::NAMES));
static LATEST: LazyLock<String> = LazyLock::new(|| numbered(prompt::LATEST, NamedParameters::NAMES));
static NUMBER: LazyLock<String> = LazyLock::new(|| with_selected(prompt::NUMBER));
static CHECKSUM: LazyLock<String> = LazyLock::new(|| with_selected(prompt::CHECKSUM));

/// Composes a statement whose number or checksum is bound after the other parameters.
fn with_selected(sql: &str) -> String {
    numbered(sql, &[NamedParameters::NAMES, &["selected"]].concat())
}

parameters! {
    NamedParameters(project: ProjectId, name: &str) {
        project_id = project.0,
        name = without_nul(name),
    }
}

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
        Selector::Active => NamedParameters::query(&ACTIVE, project, name),
        Selector::Latest => NamedParameters::query(&LATEST, project, name),
        Selector::Number(number) => NamedParameters::query(&NUMBER, project, name).bind(*number),
        Selector::Checksum(checksum) => NamedParameters::query(&CHECKSUM, project, name).bind(without_nul(checksum)),
    };
    query.fetch_optional(executor).await
}

/// Converts the row of [`fetch`]; PROMPT_NOT_FOUND where there is none.
pub(super) fn read(row: Option<sqlx::postgres::PgRow>, name: &str) -> Result<(Prompt, Option<Version>, i64)> {
    let row = row.ok_or_else(|| Error::prompt_not_found(name))?;
    let prompt = maybe_prompt(&row)?.ok_or_else(|| Error::prompt_not_found(name))?;
    Ok((prompt, maybe_version(&row)?, project_revision(&row)?))
}
