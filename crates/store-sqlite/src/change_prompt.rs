//! Writes to a prompt that exists. Each reads, asks `plan`, and saves.

use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Mode, Prompt, Selector, Version, VersionStatus};
use sqlx::SqliteConnection;

use super::prompt_select::select;
use super::{error, now, row};
use prompt_ledger_store::Changed;
use prompt_ledger_store::plan::{self, Plan, VersionWrite};

/// The project's next revision and the prompt as it becomes, in one go.
const SAVE: &str = "
    UPDATE projects SET revision = $11 WHERE id = $2;
    INSERT INTO prompts (id, project_id, name, mode, description, owner_team, tags, active_version_number,
                         latest_version_number, created_at, revision, updated_at, archived_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
    ON CONFLICT (id) DO UPDATE SET
        mode = excluded.mode, description = excluded.description, owner_team = excluded.owner_team, tags = excluded.tags,
        active_version_number = excluded.active_version_number, latest_version_number = excluded.latest_version_number,
        revision = excluded.revision, updated_at = excluded.updated_at, archived_at = excluded.archived_at";

const ADD_VERSION: &str = "
    INSERT INTO prompt_versions (id, prompt_id, version_number, status, template_source, template_format,
                                 checksum_hash, variables, created_by, created_at,
                                 source_repository, source_commit, source_path)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

/// Writes the prompt, and its revision as the project's: this transaction alone can take it.
pub(super) async fn save(connection: &mut SqliteConnection, project: ProjectId, prompt: &Prompt) -> Result<()> {
    sqlx::query(SAVE)
        .bind(prompt.id.to_string())
        .bind(project.to_string())
        .bind(&prompt.name)
        .bind(prompt.mode.as_str())
        .bind(&prompt.description)
        .bind(&prompt.owner_team)
        .bind(row::to_json(&prompt.tags)?)
        .bind(prompt.active_version)
        .bind(prompt.latest_version)
        .bind(prompt.created_at.0)
        .bind(prompt.revision)
        .bind(prompt.updated_at.0)
        .bind(prompt.archived_at.map(|at| at.0))
        .execute(connection)
        .await
        .map_err(error::store)?;
    Ok(())
}

/// Writes what becomes of a version.
pub(super) async fn save_version(
    connection: &mut SqliteConnection,
    write: VersionWrite,
    version: &Version,
) -> Result<()> {
    let query = match write {
        VersionWrite::Nothing => return Ok(()),
        VersionWrite::Status => sqlx::query("UPDATE prompt_versions SET status = $2 WHERE id = $1")
            .bind(version.id.to_string())
            .bind(version.status.as_str()),
        VersionWrite::Add => sqlx::query(ADD_VERSION)
            .bind(version.id.to_string())
            .bind(version.prompt_id.to_string())
            .bind(version.number)
            .bind(version.status.as_str())
            .bind(&version.template_source)
            .bind(version.template_format.as_str())
            .bind(&version.checksum)
            .bind(row::to_json(&version.variables)?)
            .bind(&version.created_by)
            .bind(version.created_at.0)
            .bind(&version.source.repository)
            .bind(&version.source.commit)
            .bind(&version.source.path),
    };
    query.execute(connection).await.map_err(error::store)?;
    Ok(())
}

pub(super) async fn set_active(
    connection: &mut SqliteConnection,
    project: ProjectId,
    name: &str,
    number: i32,
    etag: Option<&str>,
) -> Result<Changed> {
    let found = select(connection, project, name, &Selector::Number(number)).await?;
    apply(connection, project, plan::activate(found, number, etag, now())?).await
}

pub(super) async fn set_status(
    connection: &mut SqliteConnection,
    project: ProjectId,
    name: &str,
    number: i32,
    wanted: VersionStatus,
    etag: Option<&str>,
) -> Result<Changed> {
    let found = select(connection, project, name, &Selector::Number(number)).await?;
    apply(connection, project, plan::set_status(found, number, wanted, etag, now())?).await
}

pub(super) async fn set_archived(
    connection: &mut SqliteConnection,
    project: ProjectId,
    name: &str,
    archived: bool,
    etag: Option<&str>,
) -> Result<Changed> {
    let found = select(connection, project, name, &Selector::Active).await?;
    apply(connection, project, plan::archive(found, archived, etag, now())?).await
}

pub(super) async fn set_mode(
    connection: &mut SqliteConnection,
    project: ProjectId,
    name: &str,
    mode: Mode,
    etag: Option<&str>,
) -> Result<Changed> {
    let found = select(connection, project, name, &Selector::Active).await?;
    apply(connection, project, plan::migrate(found, mode, etag, now())?).await
}

async fn apply(connection: &mut SqliteConnection, project: ProjectId, plan: Plan<Changed>) -> Result<Changed> {
    if plan.prompt {
        save(connection, project, &plan.answer.prompt).await?;
    }
    if let Some(version) = &plan.answer.version {
        save_version(connection, plan.version, version).await?;
    }
    Ok(plan.answer)
}
