//! Writes to the registry. Each reads, asks `plan`, and saves.

use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Prompt, Version};
use prompt_ledger_domain::{Error, Result, Timestamp};
use prompt_ledger_store::plan::Plan;
use sqlx::SqliteConnection;

use super::{Sqlite, error, now, row};

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

const SET_STATUS: &str = "UPDATE prompt_versions SET status = $2 WHERE id = $1";

/// A request that changes the registry.
pub(super) trait RegistryWrite: Send + Sync + 'static {
    /// What it is answered.
    type Answer: Send + 'static;

    /// Reads what is there and decides.
    fn plan(
        &self,
        connection: &mut SqliteConnection,
        project: ProjectId,
        now: Timestamp,
    ) -> impl Future<Output = Result<Plan<Self::Answer>>> + Send;
}

impl Sqlite {
    pub(super) async fn write_registry<W: RegistryWrite>(&self, project: ProjectId, write: W) -> Result<W::Answer> {
        self.writer.write(write, move |connection, asked| Box::pin(write_planned(connection, project, asked))).await
    }
}

/// Plans a write and makes it, inside a transaction.
async fn write_planned<W: RegistryWrite>(
    connection: &mut SqliteConnection,
    project: ProjectId,
    write: &W,
) -> Result<W::Answer> {
    let plan = write.plan(connection, project, now()).await?;
    for prompt in &plan.prompts {
        save(connection, project, prompt).await?;
    }
    for version in &plan.added {
        add_version(connection, version).await?;
    }
    for (version, status) in &plan.statuses {
        let set = sqlx::query(SET_STATUS).bind(version.to_string()).bind(status.as_str());
        set.execute(&mut *connection).await.map_err(error::store)?;
    }
    Ok(plan.answer)
}

/// Writes the prompt, and its revision as the project's: this transaction alone can take it.
async fn save(connection: &mut SqliteConnection, project: ProjectId, prompt: &Prompt) -> Result<()> {
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

async fn add_version(connection: &mut SqliteConnection, version: &Version) -> Result<()> {
    sqlx::query(ADD_VERSION)
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
        .bind(&version.source.path)
        .execute(connection)
        .await
        .map_err(error::store)?;
    Ok(())
}

pub(super) fn no_project(project: ProjectId) -> Error {
    Error::new(Reason::ProjectNotFound, format!("there is no project {project}"))
}
