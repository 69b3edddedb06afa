//! Reads one prompt with one of its versions.

use std::sync::LazyLock;

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Prompt, Selector, Version};
use prompt_ledger_domain::{Error, Result};
use rusqlite::types::Null;
use rusqlite::{Connection, ToSql};

use super::statement::Script;
use prompt_ledger_store::rows::prompt::{self, maybe_prompt, maybe_version, project_revision};

static ACTIVE: LazyLock<Script> = LazyLock::new(|| Script::new(prompt::ACTIVE, &["project_id", "name"]));
static LATEST: LazyLock<Script> = LazyLock::new(|| Script::new(prompt::LATEST, &["project_id", "name"]));
static NUMBER: LazyLock<Script> = LazyLock::new(|| Script::new(prompt::NUMBER, &["project_id", "name", "selected"]));
static CHECKSUM: LazyLock<Script> =
    LazyLock::new(|| Script::new(prompt::CHECKSUM, &["project_id", "name", "selected"]));

/// The prompt, the version that the selector names, and the project's revision.
pub(super) fn select(
    connection: &Connection,
    project: ProjectId,
    name: &str,
    selector: &Selector,
) -> Result<(Prompt, Option<Version>, i64)> {
    let (script, which): (_, &dyn ToSql) = match selector {
        Selector::Active => (&ACTIVE, &Null),
        Selector::Latest => (&LATEST, &Null),
        Selector::Number(number) => (&NUMBER, number),
        Selector::Checksum(checksum) => (&CHECKSUM, checksum),
    };
    let found = script.row(connection, [&project.to_string() as &dyn ToSql, &name, which], |row| {
        Ok((maybe_prompt(row)?, maybe_version(row)?, project_revision(row)?))
    })?;
    match found {
        Some((Some(prompt), version, revision)) => Ok((prompt, version, revision)),
        Some((None, ..)) | None => Err(Error::prompt_not_found(name)),
    }
}
