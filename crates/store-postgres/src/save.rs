//! Writing what `plan` decided, many rows in one statement. Whoever writes here holds the project's lock, so that no two
//! wait for each other's rows.

use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::{ProjectId, VersionId};
use prompt_ledger_domain::prompt::{Prompt, Version, VersionStatus};
use sqlx::PgConnection;
use sqlx::postgres::PgBindIterExt;

use super::bind::each;
use super::timestamp::PgTimestamp;
use super::{error, row};

const COUNT: &str = "UPDATE projects SET revision = $2 WHERE id = $1";

const PROMPTS: &str = "
    INSERT INTO prompts (id, project_id, name, mode, description, owner_team, tags, active_version_number,
                         latest_version_number, created_at, revision, updated_at, archived_at)
    SELECT n.id, $1, n.name, n.mode, n.description, n.owner_team, n.tags, n.active, n.latest, n.created_at, n.revision,
        n.updated_at, n.archived_at
    FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int4[], $9::int4[],
            $10::timestamptz[], $11::int8[], $12::timestamptz[], $13::timestamptz[])
        AS n (id, name, mode, description, owner_team, tags, active, latest, created_at, revision, updated_at, archived_at)
    ON CONFLICT (id) DO UPDATE SET
        mode = excluded.mode, description = excluded.description, owner_team = excluded.owner_team, tags = excluded.tags,
        active_version_number = excluded.active_version_number, latest_version_number = excluded.latest_version_number,
        revision = excluded.revision, updated_at = excluded.updated_at, archived_at = excluded.archived_at";

const ADD_VERSIONS: &str = "
    INSERT INTO prompt_versions (id, prompt_id, version_number, status, template_source, template_format,
                                 checksum_hash, variables, created_by, created_at,
                                 source_repository, source_commit, source_path)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int4[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::text[], $10::timestamptz[], $11::text[], $12::text[], $13::text[])";

const SET_STATUSES: &str = "
    UPDATE prompt_versions v SET status = n.status
    FROM unnest($1::uuid[], $2::text[]) AS n (id, status) WHERE v.id = n.id";

/// Writes prompts, and the revision of the last as the project's: this transaction alone can take it.
pub(super) async fn prompts(connection: &mut PgConnection, project: ProjectId, prompts: &[Prompt]) -> Result<()> {
    let Some(last) = prompts.last() else { return Ok(()) };
    let count = sqlx::query(COUNT).bind(project.0).bind(last.revision);
    count.execute(&mut *connection).await.map_err(error::store)?;
    let tags = prompts.iter().map(|prompt| row::to_json(&prompt.tags)).collect::<Result<Vec<_>>>()?;
    sqlx::query(PROMPTS)
        .bind(project.0)
        .bind(each!(prompts, |prompt| prompt.id.0))
        .bind(each!(prompts, |prompt| &prompt.name))
        .bind(each!(prompts, |prompt| prompt.mode.as_str()))
        .bind(each!(prompts, |prompt| &prompt.description))
        .bind(each!(prompts, |prompt| &prompt.owner_team))
        .bind(tags)
        .bind(each!(prompts, |prompt| prompt.active_version))
        .bind(each!(prompts, |prompt| prompt.latest_version))
        .bind(each!(prompts, |prompt| PgTimestamp(prompt.created_at)))
        .bind(each!(prompts, |prompt| prompt.revision))
        .bind(each!(prompts, |prompt| PgTimestamp(prompt.updated_at)))
        .bind(each!(prompts, |prompt| prompt.archived_at.map(PgTimestamp)))
        .execute(connection)
        .await
        .map_err(error::store)?;
    Ok(())
}

/// Writes versions that are new.
pub(super) async fn added(connection: &mut PgConnection, versions: &[Version]) -> Result<()> {
    if versions.is_empty() {
        return Ok(());
    }
    let variables = versions.iter().map(|version| row::to_json(&version.variables)).collect::<Result<Vec<_>>>()?;
    sqlx::query(ADD_VERSIONS)
        .bind(each!(versions, |version| version.id.0))
        .bind(each!(versions, |version| version.prompt_id.0))
        .bind(each!(versions, |version| version.number))
        .bind(each!(versions, |version| version.status.as_str()))
        .bind(each!(versions, |version| &version.template_source))
        .bind(each!(versions, |version| version.template_format.as_str()))
        .bind(each!(versions, |version| &version.checksum))
        .bind(variables)
        .bind(each!(versions, |version| &version.created_by))
        .bind(each!(versions, |version| PgTimestamp(version.created_at)))
        .bind(each!(versions, |version| &version.source.repository))
        .bind(each!(versions, |version| &version.source.commit))
        .bind(each!(versions, |version| &version.source.path))
        .execute(connection)
        .await
        .map_err(error::store)?;
    Ok(())
}

/// Gives versions another status.
pub(super) async fn statuses(connection: &mut PgConnection, statuses: &[(VersionId, VersionStatus)]) -> Result<()> {
    if statuses.is_empty() {
        return Ok(());
    }
    sqlx::query(SET_STATUSES)
        .bind(each!(statuses, |status| status.0.0))
        .bind(each!(statuses, |status| status.1.as_str()))
        .execute(connection)
        .await
        .map_err(error::store)?;
    Ok(())
}
