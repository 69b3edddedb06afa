//! Writes to the registry: each reads, plans and saves in one transaction of the only writer.

use std::sync::LazyLock;

use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Prompt, Version};
use prompt_ledger_domain::{Error, Result, Timestamp};
use prompt_ledger_store::parameters;
use prompt_ledger_store::parameters::numbered;
use prompt_ledger_store::plan::Plan;
use sqlx::SqliteConnection;

use super::{Sqlite, error, now, row};

/// Sets the project's revision, and inserts or updates the prompt.
static SAVE: LazyLock<String> =
    LazyLock::new(|| numbered(include_str!("sql/save_prompt.sql"), PromptParameters::NAMES));

parameters! {
    PromptParameters(project: ProjectId, prompt: &Prompt, tags: String) of sqlx::Sqlite {
        id = prompt.id.to_string(),
        project_id = project.to_string(),
        name = &prompt.name,
        mode = prompt.mode.as_str(),
        description = &prompt.description,
        owner_team = &prompt.owner_team,
        tags = tags,
        active = prompt.active_version,
        latest = prompt.latest_version,
        created_at = prompt.created_at.0,
        revision = prompt.revision,
        updated_at = prompt.updated_at.0,
        archived_at = prompt.archived_at.map(|at| at.0),
    }
}

static ADD_VERSION: LazyLock<String> =
    LazyLock::new(|| numbered(include_str!("sql/add_version.sql"), VersionParameters::NAMES));

parameters! {
    VersionParameters(version: &Version, variables: String) of sqlx::Sqlite {
        id = version.id.to_string(),
        prompt_id = version.prompt_id.to_string(),
        version_number = version.number,
        status = version.status.as_str(),
        template_source = &version.template_source,
        template_format = version.template_format.as_str(),
        checksum_hash = &version.checksum_hash,
        variables = variables,
        created_by = &version.created_by,
        created_at = version.created_at.0,
        source_repository = &version.source.repository,
        source_commit = &version.source.commit,
        source_path = &version.source.path,
    }
}

const SET_STATUS: &str = "UPDATE prompt_versions SET status = $2 WHERE id = $1";

pub(super) trait SqliteRegistryWrite: Send + Sync + 'static {
    type Answer: Send + 'static;

    /// Reads the present state and plans the write.
    fn plan(
        &self,
        connection: &mut SqliteConnection,
        project: ProjectId,
        now: Timestamp,
    ) -> impl Future<Output = Result<Plan<Self::Answer>>> + Send;
}

impl Sqlite {
    pub(super) async fn write_registry<W: SqliteRegistryWrite>(
        &self,
        project: ProjectId,
        write: W,
    ) -> Result<W::Answer> {
        self.writer.write(write, move |connection, asked| Box::pin(write_planned(connection, project, asked))).await
    }
}

/// Plans a write and executes it, inside a transaction.
async fn write_planned<W: SqliteRegistryWrite>(
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

/// Writes the prompt, and sets the project's revision to that of the prompt: there is no other writer.
async fn save(connection: &mut SqliteConnection, project: ProjectId, prompt: &Prompt) -> Result<()> {
    let save = PromptParameters::query(&SAVE, project, prompt, row::to_json(&prompt.tags)?);
    save.execute(connection).await.map(drop).map_err(error::store)
}

async fn add_version(connection: &mut SqliteConnection, version: &Version) -> Result<()> {
    let add = VersionParameters::query(&ADD_VERSION, version, row::to_json(&version.variables)?);
    add.execute(connection).await.map(drop).map_err(error::store)
}

pub(super) fn no_project(project: ProjectId) -> Error {
    Error::new(Reason::ProjectNotFound, format!("there is no project {project}"))
}
