//! Writes to the registry. Each locks the project's row, then reads, plans and saves, so that revisions and version
//! numbers are consecutive under concurrency. A write that would change nothing takes no lock. What was planned is saved
//! many rows per statement; the lock excludes other writers, so that statements do not wait for each other's rows.

use std::sync::LazyLock;

use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::{ProjectId, VersionId};
use prompt_ledger_domain::prompt::{Prompt, Version, VersionStatus};
use prompt_ledger_domain::prompt_log::ChangeEntry;
use prompt_ledger_domain::{Error, Result, Timestamp};
use prompt_ledger_store::plan::Plan;
use prompt_ledger_store::rows::prompt::{StoredContent, stored_labels};
use sqlx::PgConnection;

use super::project_lock::Made;
use super::statement::{rows, statement};
use super::timestamp::PgTimestamp;
use super::{Postgres, error, row};

/// FOR NO KEY UPDATE, because FOR UPDATE would block every insert that references the row.
const LOCK: &str = "SELECT clock_timestamp() AS now FROM projects WHERE id = $1 FOR NO KEY UPDATE";

const COUNT: &str = "UPDATE projects SET revision = $1 WHERE id = $2";

static PROMPTS: LazyLock<String> =
    LazyLock::new(|| statement(include_str!("sql/save_prompts.sql"), PromptRows::COLUMNS, &["project_id"]));

rows! {
    /// Prompts, with tags and labels as JSON.
    PromptRows(row: (&Prompt, String, Option<String>)) {
        id: uuid = row.0.id.0,
        name: text = &row.0.name,
        mode: text = <&str>::from(row.0.mode),
        description: text = &row.0.description,
        owner_team: text = &row.0.owner_team,
        tags: text = &row.1,
        active: int4 = row.0.active_version,
        latest: int4 = row.0.latest_version,
        created_at: timestamptz = PgTimestamp(row.0.created_at),
        revision: int8 = row.0.revision,
        updated_at: timestamptz = PgTimestamp(row.0.updated_at),
        archived_at: timestamptz = row.0.archived_at.map(PgTimestamp),
        labels: text = row.2.as_deref(),
    }
}

static ADD_VERSIONS: LazyLock<String> =
    LazyLock::new(|| statement(include_str!("sql/add_versions.sql"), VersionRows::COLUMNS, &[]));

rows! {
    /// Versions, with variables as JSON, and their contents as they are stored.
    VersionRows(row: (&Version, String, StoredContent<'_>)) {
        id: uuid = row.0.id.0,
        prompt_id: uuid = row.0.prompt_id.0,
        version_number: int4 = row.0.number,
        status: text = <&str>::from(row.0.status),
        template_source: text = row.2.template_source,
        content: text = row.2.content.as_deref(),
        template_format: text = <&str>::from(row.2.template_format),
        is_opaque: bool = row.2.is_opaque,
        checksum_hash: text = &row.0.checksum_hash,
        variables: text = &row.1,
        created_by: text = &row.0.created_by,
        created_at: timestamptz = PgTimestamp(row.0.created_at),
        source_repository: text = &row.0.source.repository,
        source_commit: text = &row.0.source.commit,
        source_path: text = &row.0.source.path,
        note: text = &row.0.note,
    }
}

static SET_STATUSES: LazyLock<String> = LazyLock::new(|| {
    let sql = "UPDATE prompt_versions v SET status = n.status FROM unnest(:rows) AS n (id, status) WHERE v.id = n.id";
    statement(sql, StatusRows::COLUMNS, &[])
});

rows! {
    StatusRows(row: (VersionId, VersionStatus)) {
        id: uuid = row.0.0,
        status: text = <&str>::from(row.1),
    }
}

pub(super) trait PgRegistryWrite: Sync {
    type Answer: Send;

    /// Reads the present state and plans the write.
    fn plan(
        &self,
        connection: &mut PgConnection,
        project: ProjectId,
        now: Timestamp,
    ) -> impl Future<Output = Result<Plan<Self::Answer>>> + Send;
}

impl Postgres {
    /// Plans a write, and executes it under the project's lock unless there is nothing to do.
    pub(super) async fn write_registry<W: PgRegistryWrite>(&self, project: ProjectId, write: &W) -> Result<W::Answer> {
        let (find_idle, make) = (|| self.idle(project, write), || self.make(project, write));
        self.project_locks.write(&self.calls, project, find_idle, make).await
    }

    /// The result where there is nothing to write. It contains no time of this write, so the time passed to the plan is
    /// irrelevant.
    async fn idle<W: PgRegistryWrite>(&self, project: ProjectId, write: &W) -> Result<Option<W::Answer>> {
        let mut connection = error::again(|| self.calls.acquire()).await?;
        let plan = write.plan(&mut connection, project, Timestamp(0)).await?;
        Ok(plan.is_idle().then_some(plan.answer))
    }

    /// Writes without committing.
    async fn make<W: PgRegistryWrite>(&self, project: ProjectId, write: &W) -> Result<(W::Answer, Made)> {
        let mut transaction = error::again(|| self.calls.begin()).await?;
        let locked = sqlx::query(LOCK).bind(project.0).fetch_optional(&mut *transaction).await.map_err(error::store)?;
        let now = row::value(&locked.ok_or_else(|| no_project(project))?, "now")?;
        let plan = write.plan(&mut transaction, project, now).await?;
        save_prompts(&mut transaction, project, &plan.prompts).await?;
        add_versions(&mut transaction, &plan.added).await?;
        set_statuses(&mut transaction, &plan.statuses).await?;
        add_changes(&mut transaction, project, &plan.log).await?;
        Ok((plan.answer, transaction))
    }
}

/// Writes prompts, and sets the project's revision to that of the last one: the lock excludes other writers.
async fn save_prompts(connection: &mut PgConnection, project: ProjectId, prompts: &[Prompt]) -> Result<()> {
    let Some(last) = prompts.last() else { return Ok(()) };
    let count = sqlx::query(COUNT).bind(last.revision).bind(project.0);
    count.execute(&mut *connection).await.map_err(error::store)?;
    let rows = prompts
        .iter()
        .map(|prompt| Ok((prompt, row::to_json(&prompt.tags)?, stored_labels(prompt)?)))
        .collect::<Result<Vec<_>>>()?;
    let save = PromptRows::bind(sqlx::query(PROMPTS.as_str()), &rows).bind(project.0);
    save.execute(connection).await.map(drop).map_err(error::store)
}

async fn add_versions(connection: &mut PgConnection, versions: &[Version]) -> Result<()> {
    if versions.is_empty() {
        return Ok(());
    }
    let rows =
        versions.iter().map(|version| Ok((version, row::to_json(&version.variables)?, StoredContent::of(version)?)));
    let rows = rows.collect::<Result<Vec<_>>>()?;
    let add = VersionRows::bind(sqlx::query(ADD_VERSIONS.as_str()), &rows);
    add.execute(connection).await.map(drop).map_err(error::store)
}

async fn set_statuses(connection: &mut PgConnection, statuses: &[(VersionId, VersionStatus)]) -> Result<()> {
    if statuses.is_empty() {
        return Ok(());
    }
    let set = StatusRows::bind(sqlx::query(SET_STATUSES.as_str()), statuses);
    set.execute(connection).await.map(drop).map_err(error::store)
}

static ADD_CHANGES: LazyLock<String> =
    LazyLock::new(|| statement(include_str!("sql/add_changes.sql"), ChangeRows::COLUMNS, &["project_id"]));

rows! {
    ChangeRows(entry: ChangeEntry) {
        prompt_name: text = &entry.prompt_name,
        kind: text = <&str>::from(entry.what.kind),
        version_number: int4 = entry.what.version,
        label: text = &entry.what.label,
        from_value: text = &entry.what.from,
        to_value: text = &entry.what.to,
        created_by: text = &entry.created_by,
        key_id: text = &entry.key.id,
        key_name: text = &entry.key.name,
        revision: int8 = entry.revision,
        position: int4 = entry.position,
        at: timestamptz = PgTimestamp(entry.at),
        note: text = &entry.note,
    }
}

async fn add_changes(connection: &mut PgConnection, project: ProjectId, log: &[ChangeEntry]) -> Result<()> {
    if log.is_empty() {
        return Ok(());
    }
    let add = ChangeRows::bind(sqlx::query(ADD_CHANGES.as_str()), log).bind(project.0);
    add.execute(connection).await.map(drop).map_err(error::store)
}

pub(super) fn no_project(project: ProjectId) -> Error {
    Error::new(Reason::ProjectNotFound, format!("there is no project {project}"))
}
