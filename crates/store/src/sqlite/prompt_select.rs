//! One prompt with one of its versions.

use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Prompt, Selector, Version, not_found};
use sqlx::SqliteConnection;

use super::error;
use super::prompt_rows::{maybe_prompt, maybe_version, project_revision, prompt_columns, version_columns};

/// A prompt by project ($1) and name ($2), with a version of it; the version's columns are empty where there is none.
macro_rules! prompt_and_version {
    ($which:literal) => {
        concat!(
            "SELECT ",
            prompt_columns!(),
            ", ",
            version_columns!(),
            " FROM projects j JOIN prompts p ON p.project_id = j.id",
            " LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND ",
            $which,
            " WHERE j.id = $1 AND p.name = $2"
        )
    };
}

const ACTIVE: &str = prompt_and_version!("v.version_number = p.active_version_number");
const LATEST: &str = prompt_and_version!("v.version_number = p.latest_version_number");
const NUMBER: &str = prompt_and_version!("v.version_number = $3");
const CHECKSUM: &str = prompt_and_version!("v.checksum_hash = $3");

/// A prompt, the version asked for, and the project's revision.
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
    let row = query.fetch_optional(connection).await.map_err(error::store)?.ok_or_else(|| not_found(name))?;
    let prompt = maybe_prompt(&row)?.ok_or_else(|| not_found(name))?;
    Ok((prompt, maybe_version(&row)?, project_revision(&row)?))
}
