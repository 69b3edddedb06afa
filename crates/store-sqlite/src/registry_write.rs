//! Writes to the registry: each reads, plans and saves in one transaction of the only writer.

use std::sync::LazyLock;

use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Prompt, Version};
use prompt_ledger_domain::prompt_log::ChangeEntry;
use prompt_ledger_domain::{Error, Result, Timestamp};
use prompt_ledger_store::plan::Plan;
use prompt_ledger_store::rows::prompt::{StoredContent, stored_labels};
use rusqlite::{Connection, ToSql};

use super::statement::{Script, parameters};
use super::{Sqlite, now, row};

/// Sets the project's revision, and inserts or updates the prompt.
static SAVE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/save_prompt.sql"), PromptParameters::NAMES));

parameters! {
    PromptParameters(project: ProjectId, prompt: &Prompt, tags: &str, labels: Option<&str>) {
        id = prompt.id.to_string(),
        project_id = project.to_string(),
        name = &prompt.name,
        mode = <&str>::from(prompt.mode),
        description = &prompt.description,
        owner_team = &prompt.owner_team,
        tags = tags,
        active = prompt.active_version,
        latest = prompt.latest_version,
        created_at = prompt.created_at.0,
        revision = prompt.revision,
        updated_at = prompt.updated_at.0,
        archived_at = prompt.archived_at.map(|at| at.0),
        labels = labels,
    }
}

static ADD_VERSION: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/add_version.sql"), VersionParameters::NAMES));

parameters! {
    VersionParameters(version: &Version, variables: &str, stored: &StoredContent<'_>) {
        id = version.id.to_string(),
        prompt_id = version.prompt_id.to_string(),
        version_number = version.number,
        status = <&str>::from(version.status),
        template_source = stored.template_source,
        content = &stored.content,
        template_format = <&str>::from(stored.template_format),
        is_opaque = stored.is_opaque,
        checksum_hash = &version.checksum_hash,
        variables = variables,
        created_by = &version.created_by,
        created_at = version.created_at.0,
        source_repository = &version.source.repository,
        source_commit = &version.source.commit,
        source_path = &version.source.path,
        note = &version.note,
    }
}

static SET_STATUS: LazyLock<Script> =
    LazyLock::new(|| Script::new("UPDATE prompt_versions SET status = :status WHERE id = :id", &["id", "status"]));

static ADD_CHANGE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/add_change.sql"), ChangeParameters::NAMES));

parameters! {
    ChangeParameters(project: ProjectId, entry: &ChangeEntry) {
        project_id = project.to_string(),
        revision = entry.revision,
        position = entry.position,
        prompt_name = &entry.prompt_name,
        kind = <&str>::from(entry.what.kind),
        version_number = entry.what.version,
        label = &entry.what.label,
        from_value = &entry.what.from,
        to_value = &entry.what.to,
        created_by = &entry.created_by,
        key_id = &entry.key.id,
        key_name = &entry.key.name,
        note = &entry.note,
        at = entry.at.0,
    }
}

pub(super) trait SqliteRegistryWrite: Send + 'static {
    type Answer: Send + 'static;

    /// Reads the present state and plans the write.
    fn plan(&self, connection: &Connection, project: ProjectId, now: Timestamp) -> Result<Plan<Self::Answer>>;
}

impl Sqlite {
    pub(super) async fn write_registry<W: SqliteRegistryWrite>(
        &self,
        project: ProjectId,
        write: W,
    ) -> Result<W::Answer> {
        self.writer.write(move |connection| write_planned(connection, project, &write)).await
    }
}

/// Plans a write and executes it, inside a transaction.
fn write_planned<W: SqliteRegistryWrite>(connection: &Connection, project: ProjectId, write: &W) -> Result<W::Answer> {
    let plan = write.plan(connection, project, now())?;
    for prompt in &plan.prompts {
        // Also sets the project's revision to that of the prompt: there is no other writer.
        let tags = row::to_json(&prompt.tags)?;
        let labels = stored_labels(prompt)?;
        SAVE.execute(connection, PromptParameters::values(project, prompt, &tags, labels.as_deref()))?;
    }
    for version in &plan.added {
        let variables = row::to_json(&version.variables)?;
        let stored = StoredContent::of(version)?;
        ADD_VERSION.execute(connection, VersionParameters::values(version, &variables, &stored))?;
    }
    for (version, status) in &plan.statuses {
        SET_STATUS.execute(connection, [&version.to_string() as &dyn ToSql, &<&str>::from(status)])?;
    }
    for entry in &plan.log {
        ADD_CHANGE.execute(connection, ChangeParameters::values(project, entry))?;
    }
    Ok(plan.answer)
}

pub(super) fn no_project(project: ProjectId) -> Error {
    Error::new(Reason::ProjectNotFound, format!("there is no project {project}"))
}
