//! Writes to a prompt that is there: activate, retire, archive. Read, decide by the domain's rules, save.

use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Mode, Prompt, Selector, Version, VersionStatus};
use prompt_ledger_domain::versioning;
use sqlx::SqliteConnection;

use super::prompt_select::select;
use super::{error, now, row};
use crate::Changed;

/// What serves a prompt in tracking mode instead.
pub(super) const TRACKING_RPC: &str = "CodeRegistrationService.RegisterCodePrompts";

/// The project's next revision and the prompt as it becomes, in one go.
const SAVE: &str = "
    UPDATE projects SET revision = $11 WHERE id = $2;
    INSERT INTO prompts (id, project_id, name, mode, description, owner_team, tags, active_version_number,
                         latest_version_number, created_at, revision, updated_at, archived_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
    ON CONFLICT (id) DO UPDATE SET
        description = excluded.description, owner_team = excluded.owner_team, tags = excluded.tags,
        active_version_number = excluded.active_version_number, latest_version_number = excluded.latest_version_number,
        revision = excluded.revision, updated_at = excluded.updated_at, archived_at = excluded.archived_at";

/// Writes the prompt with the project's next revision, `revision`, which this transaction alone can take.
pub(super) async fn save(
    connection: &mut SqliteConnection,
    project: ProjectId,
    prompt: &mut Prompt,
    revision: i64,
) -> Result<()> {
    prompt.revision = revision;
    prompt.updated_at = now();
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

/// Writes a version's status where it changes.
pub(super) async fn save_status(
    connection: &mut SqliteConnection,
    version: &mut Version,
    status: VersionStatus,
) -> Result<()> {
    if version.status != status {
        version.status = status;
        sqlx::query("UPDATE prompt_versions SET status = $2 WHERE id = $1")
            .bind(version.id.to_string())
            .bind(status.as_str())
            .execute(connection)
            .await
            .map_err(error::store)?;
    }
    Ok(())
}

pub(super) async fn set_active(
    connection: &mut SqliteConnection,
    project: ProjectId,
    name: &str,
    number: i32,
    etag: Option<&str>,
) -> Result<Changed> {
    let (mut prompt, mut version, mut revision) = writable(connection, project, name, number, etag).await?;
    if prompt.active_version != Some(number) || version.status != VersionStatus::Active {
        revision += 1;
        prompt.active_version = Some(number);
        save_status(connection, &mut version, VersionStatus::Active).await?;
        save(connection, project, &mut prompt, revision).await?;
    }
    Ok(Changed { prompt, version: Some(version), revision })
}

pub(super) async fn set_status(
    connection: &mut SqliteConnection,
    project: ProjectId,
    name: &str,
    number: i32,
    wanted: VersionStatus,
    etag: Option<&str>,
) -> Result<Changed> {
    let (mut prompt, mut version, mut revision) = writable(connection, project, name, number, etag).await?;
    let status = versioning::set_status(&prompt, &version, wanted)?;
    if version.status != status {
        revision += 1;
        save_status(connection, &mut version, status).await?;
        save(connection, project, &mut prompt, revision).await?;
    }
    Ok(Changed { prompt, version: Some(version), revision })
}

pub(super) async fn set_archived(
    connection: &mut SqliteConnection,
    project: ProjectId,
    name: &str,
    archived: bool,
    etag: Option<&str>,
) -> Result<Changed> {
    let (mut prompt, _, mut revision) = select(connection, project, name, &Selector::Active).await?;
    prompt.check_etag(etag)?;
    if prompt.archived_at.is_some() != archived {
        revision += 1;
        prompt.archived_at = archived.then(now);
        save(connection, project, &mut prompt, revision).await?;
    }
    Ok(Changed { prompt, version: None, revision })
}

/// A prompt in full mode that may be written, and the version of that number.
async fn writable(
    connection: &mut SqliteConnection,
    project: ProjectId,
    name: &str,
    number: i32,
    etag: Option<&str>,
) -> Result<(Prompt, Version, i64)> {
    let selector = Selector::Number(number);
    let (prompt, version, revision) = select(connection, project, name, &selector).await?;
    prompt.check_mode(Mode::Full, TRACKING_RPC)?;
    prompt.check_not_archived()?;
    prompt.check_etag(etag)?;
    let version = version.ok_or_else(|| selector.missing(name))?;
    Ok((prompt, version, revision))
}
