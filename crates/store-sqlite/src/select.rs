//! Reads one prompt with one of its versions.

use std::sync::LazyLock;

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Prompt, Selector, Version};
use prompt_ledger_domain::{Error, Result};
use sqlx::SqliteConnection;

use super::error;
use prompt_ledger_store::parameters;
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
    NamedParameters(project: ProjectId, name: &str) of sqlx::Sqlite {
        project_id = project.to_string(),
        name = name,
    }
}

/// The prompt, the version that the selector names, and the project's revision.
pub(super) async fn select(
    connection: &mut SqliteConnection,
    project: ProjectId,
    name: &str,
    selector: &Selector,
) -> Result<(Prompt, Option<Version>, i64)> {
    let query = match selector {
        Selector::Active => NamedParameters::query(&ACTIVE, project, name),
        Selector::Latest => NamedParameters::query(&LATEST, project, name),
        Selector::Number(number) => NamedParameters::query(&NUMBER, project, name).bind(*number),
        Selector::Checksum(checksum) => NamedParameters::query(&CHECKSUM, project, name).bind(checksum),
    };
    let row =
        query.fetch_optional(connection).await.map_err(error::store)?.ok_or_else(|| Error::prompt_not_found(name))?;
    let prompt = maybe_prompt(&row)?.ok_or_else(|| Error::prompt_not_found(name))?;
    Ok((prompt, maybe_version(&row)?, project_revision(&row)?))
}
