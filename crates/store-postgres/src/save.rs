//! Writes what `plan` decided, many rows per statement. The caller holds the project's lock, so statements cannot wait
//! for each other's rows.

use std::sync::LazyLock;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::{ProjectId, VersionId};
use prompt_ledger_domain::prompt::{Prompt, Version, VersionStatus};
use sqlx::PgConnection;

use super::bind::{rows, statement};
use super::timestamp::PgTimestamp;
use super::{error, row};

const COUNT: &str = "UPDATE projects SET revision = $1 WHERE id = $2";

static PROMPTS: LazyLock<String> =
    LazyLock::new(|| statement(include_str!("sql/save_prompts.sql"), PromptRows::COLUMNS, &["project_id"]));

rows! {
    /// Prompts, with tags as JSON.
    PromptRows(row: (&Prompt, String)) {
        id: uuid = row.0.id.0,
        name: text = &row.0.name,
        mode: text = row.0.mode.as_str(),
        description: text = &row.0.description,
        owner_team: text = &row.0.owner_team,
        tags: text = &row.1,
        active: int4 = row.0.active_version,
        latest: int4 = row.0.latest_version,
        created_at: timestamptz = PgTimestamp(row.0.created_at),
        revision: int8 = row.0.revision,
        updated_at: timestamptz = PgTimestamp(row.0.updated_at),
        archived_at: timestamptz = row.0.archived_at.map(PgTimestamp),
    }
}

static ADD_VERSIONS: LazyLock<String> =
    LazyLock::new(|| statement(include_str!("sql/add_versions.sql"), VersionRows::COLUMNS, &[]));

rows! {
    /// Versions, with variables as JSON.
    VersionRows(row: (&Version, String)) {
        id: uuid = row.0.id.0,
        prompt_id: uuid = row.0.prompt_id.0,
        version_number: int4 = row.0.number,
        status: text = row.0.status.as_str(),
        template_source: text = &row.0.template_source,
        template_format: text = row.0.template_format.as_str(),
        checksum_hash: text = &row.0.checksum_hash,
        variables: text = &row.1,
        created_by: text = &row.0.created_by,
        created_at: timestamptz = PgTimestamp(row.0.created_at),
        source_repository: text = &row.0.source.repository,
        source_commit: text = &row.0.source.commit,
        source_path: text = &row.0.source.path,
    }
}

static SET_STATUSES: LazyLock<String> = LazyLock::new(|| {
    let sql = "UPDATE prompt_versions v SET status = n.status FROM unnest(:rows) AS n (id, status) WHERE v.id = n.id";
    statement(sql, StatusRows::COLUMNS, &[])
});

rows! {
    StatusRows(row: (VersionId, VersionStatus)) {
        id: uuid = row.0.0,
        status: text = row.1.as_str(),
    }
}

/// Writes prompts, and sets the project's revision to that of the last one: the lock excludes other writers.
pub(super) async fn prompts(connection: &mut PgConnection, project: ProjectId, prompts: &[Prompt]) -> Result<()> {
    let Some(last) = prompts.last() else { return Ok(()) };
    let count = sqlx::query(COUNT).bind(last.revision).bind(project.0);
    count.execute(&mut *connection).await.map_err(error::store)?;
    let rows = prompts.iter().map(|prompt| Ok((prompt, row::to_json(&prompt.tags)?))).collect::<Result<Vec<_>>>()?;
    let save = PromptRows::bind(sqlx::query(PROMPTS.as_str()), &rows).bind(project.0);
    save.execute(connection).await.map(drop).map_err(error::store)
}

pub(super) async fn added(connection: &mut PgConnection, versions: &[Version]) -> Result<()> {
    if versions.is_empty() {
        return Ok(());
    }
    let rows = versions.iter().map(|version| Ok((version, row::to_json(&version.variables)?)));
    let rows = rows.collect::<Result<Vec<_>>>()?;
    let add = VersionRows::bind(sqlx::query(ADD_VERSIONS.as_str()), &rows);
    add.execute(connection).await.map(drop).map_err(error::store)
}

pub(super) async fn statuses(connection: &mut PgConnection, statuses: &[(VersionId, VersionStatus)]) -> Result<()> {
    if statuses.is_empty() {
        return Ok(());
    }
    let set = StatusRows::bind(sqlx::query(SET_STATUSES.as_str()), statuses);
    set.execute(connection).await.map(drop).map_err(error::store)
}
