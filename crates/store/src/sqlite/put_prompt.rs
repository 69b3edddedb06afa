//! Registering a content under a name.

use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Mode, Prompt, Source, TemplateFormat, Version, VersionStatus};
use prompt_ledger_domain::versioning::{self, Content};
use prompt_ledger_domain::{Error, Result, field};
use sqlx::SqliteConnection;

use super::change_prompt::{TRACKING_RPC, save, save_status};
use super::prompt_rows::{maybe_prompt, maybe_version, project_revision, prompt_columns, version_columns};
use super::{error, now, row};
use crate::{PutPrompt, PutResult};

/// The project ($1), its prompt of that name ($2), and that prompt's version of that content ($3): each where there is
/// one.
const READ: &str = concat!(
    "SELECT ",
    prompt_columns!(),
    ", ",
    version_columns!(),
    " FROM projects j LEFT JOIN prompts p ON p.project_id = j.id AND p.name = $2",
    " LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND v.checksum_hash = $3",
    " WHERE j.id = $1"
);

const ADD_VERSION: &str = "
    INSERT INTO prompt_versions (id, prompt_id, version_number, status, template_source, template_format,
                                 checksum_hash, variables, created_by, created_at,
                                 source_repository, source_commit, source_path)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

pub(super) async fn put_prompt(
    connection: &mut SqliteConnection,
    project: ProjectId,
    put: &PutPrompt,
) -> Result<PutResult> {
    let row = sqlx::query(READ)
        .bind(project.to_string())
        .bind(&put.name)
        .bind(&put.checksum)
        .fetch_optional(&mut *connection)
        .await
        .map_err(error::store)?
        .ok_or_else(|| Error::new(Reason::ProjectNotFound, format!("there is no project {project}")))?;
    let before = maybe_prompt(&row)?;
    let known = maybe_version(&row)?;
    check(before.as_ref(), put)?;

    let mut prompt = changed(before.clone(), row::text(&row, "project")?, put);
    let content = versioning::content(prompt.latest_version, known.as_ref(), TemplateFormat::Handlebars)?;
    let moved = |number| put.set_active && prompt.active_version != Some(number);
    let (activated, new) = match content {
        Content::New(number) => (moved(number), Some(version(&prompt, number, put))),
        Content::Known(number) => (moved(number), None),
    };
    if let Some(new) = &new {
        prompt.latest_version = new.number;
    }
    if activated {
        prompt.active_version = new.as_ref().or(known.as_ref()).map(|version| version.number);
    }

    let mut revision = project_revision(&row)?;
    if before.as_ref() != Some(&prompt) {
        revision += 1;
        save(connection, project, &mut prompt, revision).await?;
    }
    let version_change = new.is_some();
    let version = match (new, known) {
        (Some(new), _) => add(connection, new).await?,
        (None, Some(mut known)) => {
            let status = if activated { VersionStatus::Active } else { known.status };
            save_status(connection, &mut known, status).await?;
            known
        }
        (None, None) => return Err(Error::internal("a content is neither new nor known")),
    };
    Ok(PutResult { prompt, version, version_change, activated, revision })
}

/// What forbids the write, in the order of the contract.
fn check(before: Option<&Prompt>, put: &PutPrompt) -> Result<()> {
    let name = field::shown(&put.name);
    let Some(prompt) = before else {
        if put.etag.is_none() {
            return Ok(());
        }
        let message = format!("prompt `{name}` does not exist, so no etag is its own; leave the etag out to create it");
        return Err(Error::new(Reason::EtagMismatch, message).with("prompt", &name).about("prompt", name));
    };
    prompt.check_mode(Mode::Full, TRACKING_RPC)?;
    if put.create_only {
        let message = format!("prompt `{name}` exists; leave create_only out to change it");
        return Err(Error::new(Reason::PromptExists, message).with("prompt", &name).about("prompt", name));
    }
    prompt.check_not_archived()?;
    prompt.check_etag(put.etag.as_deref())
}

/// The prompt with the metadata that was sent, a new one where there was none.
fn changed(before: Option<Prompt>, project: String, put: &PutPrompt) -> Prompt {
    let mut prompt = before.unwrap_or_else(|| Prompt {
        id: put.prompt_id,
        project,
        name: put.name.clone(),
        mode: Mode::Full,
        description: String::new(),
        owner_team: String::new(),
        tags: Vec::new(),
        active_version: None,
        latest_version: 0,
        revision: 0,
        created_at: now(),
        updated_at: now(),
        archived_at: None,
    });
    let keep = |field: &mut String, sent: &Option<String>| {
        if let Some(sent) = sent {
            field.clone_from(sent);
        }
    };
    keep(&mut prompt.description, &put.description);
    keep(&mut prompt.owner_team, &put.owner_team);
    if let Some(tags) = &put.tags {
        prompt.tags.clone_from(tags);
    }
    prompt
}

fn version(prompt: &Prompt, number: i32, put: &PutPrompt) -> Version {
    Version {
        id: put.version_id,
        prompt_id: prompt.id,
        number,
        status: if put.set_active { VersionStatus::Active } else { VersionStatus::Draft },
        template_source: put.template_source.clone(),
        template_format: TemplateFormat::Handlebars,
        checksum: put.checksum.clone(),
        variables: put.variables.clone(),
        created_by: put.created_by.clone(),
        created_at: now(),
        source: Source::default(),
    }
}

async fn add(connection: &mut SqliteConnection, version: Version) -> Result<Version> {
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
    Ok(version)
}
