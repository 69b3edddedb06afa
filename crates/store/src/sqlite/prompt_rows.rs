//! Prompts and versions as they are selected.

use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::{PromptId, VersionId};
use prompt_ledger_domain::prompt::{Mode, Prompt, Source, TemplateFormat, Version, VersionStatus};
use sqlx::sqlite::SqliteRow;

use super::row;

/// The columns that [`maybe_prompt`] reads from `prompts p` and `projects j`, with the project's revision.
macro_rules! prompt_columns {
    () => {
        "p.id AS prompt_id, j.name AS project, j.revision AS project_revision, p.name, p.mode, p.description, \
         p.owner_team, p.tags, p.active_version_number, p.latest_version_number, p.revision, \
         p.created_at AS prompt_created_at, p.updated_at, p.archived_at"
    };
}
pub(super) use prompt_columns;

/// The columns that [`maybe_version`] reads from `prompt_versions v`.
macro_rules! version_columns {
    () => {
        "v.id AS version_id, v.prompt_id AS version_prompt_id, v.version_number, v.status, v.template_source, \
         v.template_format, v.checksum_hash, v.variables, v.created_by, v.created_at AS version_created_at, \
         v.source_repository, v.source_commit, v.source_path"
    };
}
pub(super) use version_columns;

/// The prompt, unless the row has none.
pub(super) fn maybe_prompt(row: &SqliteRow) -> Result<Option<Prompt>> {
    let Some(id) = row::maybe_id(row, "prompt_id")? else { return Ok(None) };
    Ok(Some(Prompt {
        id: PromptId(id),
        project: row::text(row, "project")?,
        name: row::text(row, "name")?,
        mode: row::word(row, "mode", Mode::from_word)?,
        description: row::text(row, "description")?,
        owner_team: row::text(row, "owner_team")?,
        tags: row::json(row, "tags")?,
        active_version: row::value(row, "active_version_number")?,
        latest_version: row::value(row, "latest_version_number")?,
        revision: row::value(row, "revision")?,
        created_at: row::time(row, "prompt_created_at")?,
        updated_at: row::time(row, "updated_at")?,
        archived_at: row::maybe_time(row, "archived_at")?,
    }))
}

/// The version, unless the row has none.
pub(super) fn maybe_version(row: &SqliteRow) -> Result<Option<Version>> {
    let Some(id) = row::maybe_id(row, "version_id")? else { return Ok(None) };
    Ok(Some(Version {
        id: VersionId(id),
        prompt_id: PromptId(row::id(row, "version_prompt_id")?),
        number: row::value(row, "version_number")?,
        status: row::word(row, "status", VersionStatus::from_word)?,
        template_source: row::text(row, "template_source")?,
        template_format: row::word(row, "template_format", TemplateFormat::from_word)?,
        checksum: row::text(row, "checksum_hash")?,
        variables: row::json(row, "variables")?,
        created_by: row::text(row, "created_by")?,
        created_at: row::time(row, "version_created_at")?,
        source: Source {
            repository: row::text(row, "source_repository")?,
            commit: row::text(row, "source_commit")?,
            path: row::text(row, "source_path")?,
        },
    }))
}

/// The project's revision that the row was read at.
pub(super) fn project_revision(row: &SqliteRow) -> Result<i64> {
    row::value(row, "project_revision")
}
