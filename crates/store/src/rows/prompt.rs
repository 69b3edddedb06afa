//! Reads prompts and versions from rows.

use std::collections::BTreeMap;

use crate::Revisions;
use crate::plan::{Known, ProjectState};
use crate::rows as row;
use crate::rows::LedgerRow;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::ids::{ProjectId, PromptId, VersionId};
use prompt_ledger_domain::label::PromptLabel;
use prompt_ledger_domain::prompt::{Prompt, Source, TemplateFormat, Version};
use prompt_ledger_domain::prompt_log::{AskingKey, ChangeEntry, WhatChanged};
use serde::{Deserialize, Serialize};

/// The columns that [`maybe_prompt`] reads from `prompts p` and `projects j`, with the project's revision.
#[macro_export]
macro_rules! prompt_columns {
    () => {
        "p.id AS prompt_id, j.name AS project, j.revision AS project_revision, p.name, p.mode, p.description, \
         p.owner_team, p.tags, p.active_version_number, p.latest_version_number, p.revision, \
         p.created_at AS prompt_created_at, p.updated_at, p.archived_at, p.labels"
    };
}

/// The columns that [`maybe_version`] reads from `prompt_versions v`.
#[macro_export]
macro_rules! version_columns {
    () => {
        "v.id AS version_id, v.prompt_id AS version_prompt_id, v.version_number, v.status, v.template_source, \
         v.content, v.template_format, v.is_opaque, v.checksum_hash, v.variables, v.created_by, v.created_at AS version_created_at, \
         v.source_repository, v.source_commit, v.source_path, v.note"
    };
}

/// The columns that [`maybe_known`] reads from `prompt_versions v`.
#[macro_export]
macro_rules! known_columns {
    () => {
        "v.id AS version_id, v.version_number, v.status, v.template_format, v.is_opaque"
    };
}

/// Selects a prompt by project (`:project_id`) and name (`:name`), with one of its versions; the version's columns are
/// NULL where there is none.
macro_rules! prompt_and_version {
    ($which:literal) => {
        concat!(
            "SELECT ",
            prompt_columns!(),
            ", ",
            version_columns!(),
            " FROM projects j JOIN prompts p ON p.project_id = j.id",
            " LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND ",
            $which,
            " WHERE j.id = :project_id AND p.name = :name"
        )
    };
}

/// With the active version.
pub const ACTIVE: &str = prompt_and_version!("v.version_number = p.active_version_number");
/// With the version of the highest number.
pub const LATEST: &str = prompt_and_version!("v.version_number = p.latest_version_number");
/// With the version of number `:selected`.
pub const NUMBER: &str = prompt_and_version!("v.version_number = :selected");
/// With the version of checksum `:selected`.
pub const CHECKSUM: &str = prompt_and_version!("v.checksum_hash = :selected");

/// The prompt; nothing where `prompt_id` is NULL.
pub fn maybe_prompt<D, R: LedgerRow<D>>(row: &R) -> Result<Option<Prompt>> {
    let Some(id) = row::maybe(row, "prompt_id")? else { return Ok(None) };
    Ok(Some(Prompt {
        id: PromptId(id),
        project: row::text(row, "project")?,
        name: row::text(row, "name")?,
        mode: row::word(row, "mode")?,
        description: row::text(row, "description")?,
        owner_team: row::text(row, "owner_team")?,
        tags: row::json(row, "tags")?,
        active_version: row::maybe(row, "active_version_number")?,
        latest_version: row::value(row, "latest_version_number")?,
        revision: row::value(row, "revision")?,
        created_at: row::value(row, "prompt_created_at")?,
        updated_at: row::value(row, "updated_at")?,
        archived_at: row::maybe(row, "archived_at")?,
        labels: labels(row)?,
    }))
}

/// A label as it is stored: version number, when it was set (microseconds since 1970), and by whom.
#[derive(Serialize, Deserialize)]
struct StoredLabel(i32, i64, String);

/// `prompts.labels`: a JSON object, by label; NULL for none.
pub fn stored_labels(prompt: &Prompt) -> Result<Option<String>> {
    if prompt.labels.is_empty() {
        return Ok(None);
    }
    let stored =
        |held: &PromptLabel| (held.label.clone(), StoredLabel(held.version_number, held.set_at.0, held.set_by.clone()));
    row::to_json(&prompt.labels.iter().map(stored).collect::<BTreeMap<_, _>>()).map(Some)
}

fn labels<D, R: LedgerRow<D>>(row: &R) -> Result<Vec<PromptLabel>> {
    if row.text("labels")?.is_none() {
        return Ok(Vec::new());
    }
    let stored: BTreeMap<String, StoredLabel> = row::json(row, "labels")?;
    let label = |(label, StoredLabel(version_number, at, set_by))| PromptLabel {
        label,
        version_number,
        set_at: Timestamp(at),
        set_by,
    };
    Ok(stored.into_iter().map(label).collect())
}

/// An entry of the change log.
pub fn change_entry<D, R: LedgerRow<D>>(row: &R) -> Result<ChangeEntry> {
    Ok(ChangeEntry {
        prompt_name: row::text(row, "prompt_name")?,
        what: WhatChanged {
            kind: row::word(row, "kind")?,
            version: row::maybe(row, "version_number")?,
            label: row::text(row, "label")?,
            from: row::text(row, "from_value")?,
            to: row::text(row, "to_value")?,
        },
        created_by: row::text(row, "created_by")?,
        key: AskingKey { id: row::text(row, "key_id")?, name: row::text(row, "key_name")? },
        revision: row::value(row, "revision")?,
        position: row::value(row, "position")?,
        at: row::value(row, "at")?,
        note: row::text(row, "note")?,
    })
}

/// The version; nothing where `version_id` is NULL.
pub fn maybe_version<D, R: LedgerRow<D>>(row: &R) -> Result<Option<Version>> {
    let Some(id) = row::maybe(row, "version_id")? else { return Ok(None) };
    Ok(Some(Version {
        id: VersionId(id),
        prompt_id: PromptId(row::value(row, "version_prompt_id")?),
        number: row::value(row, "version_number")?,
        status: row::word(row, "status")?,
        content: match row.text("content")? {
            None => VersionContent::text(row::text(row, "template_source")?),
            Some(stored) => VersionContent::read(stored)?,
        },
        template_format: format(row)?,
        checksum_hash: row::text(row, "checksum_hash")?,
        variables: row::json(row, "variables")?,
        created_by: row::text(row, "created_by")?,
        created_at: row::value(row, "version_created_at")?,
        source: Source {
            repository: row::text(row, "source_repository")?,
            commit: row::text(row, "source_commit")?,
            path: row::text(row, "source_path")?,
        },
        note: row::text(row, "note")?,
    }))
}

/// A content as it is stored.
#[derive(Debug)]
pub struct StoredContent<'a> {
    /// A text by itself, as ever. Empty for another content, so that releases without `content` refuse to render it.
    pub template_source: &'a str,
    /// Another content whole, in its canonical form.
    pub content: Option<String>,
    /// Of a text by itself. Another content is Handlebars here: releases without `content` execute what is opaque, with
    /// ready messages and without its config.
    pub template_format: TemplateFormat,
    /// Whether another content is opaque.
    pub is_opaque: bool,
}

impl<'a> StoredContent<'a> {
    /// Of a version.
    pub fn of(version: &'a Version) -> Result<Self> {
        let Version { content, template_format, .. } = version;
        Ok(match content.bare_text() {
            Some(template_source) => {
                Self { template_source, content: None, template_format: *template_format, is_opaque: false }
            }
            None => Self {
                template_source: "",
                content: Some(content.canonical()?),
                template_format: TemplateFormat::Handlebars,
                is_opaque: *template_format == TemplateFormat::Opaque,
            },
        })
    }
}

fn format<D, R: LedgerRow<D>>(row: &R) -> Result<TemplateFormat> {
    match row::value(row, "is_opaque")? {
        true => Ok(TemplateFormat::Opaque),
        false => row::word(row, "template_format"),
    }
}

/// The fields of the version that registering from code needs; nothing where `version_id` is NULL.
pub fn maybe_known<D, R: LedgerRow<D>>(row: &R) -> Result<Option<Known>> {
    let Some(id) = row::maybe(row, "version_id")? else { return Ok(None) };
    Ok(Some(Known {
        id: VersionId(id),
        number: row::value(row, "version_number")?,
        status: row::word(row, "status")?,
        template_format: format(row)?,
    }))
}

/// The project's name and revision at the time of the read.
pub fn project<D, R: LedgerRow<D>>(row: &R) -> Result<ProjectState> {
    Ok(ProjectState { name: row::text(row, "project")?, revision: project_revision(row)? })
}

/// The project's revision at the time of the read.
pub fn project_revision<D, R: LedgerRow<D>>(row: &R) -> Result<i64> {
    row::value(row, "project_revision")
}

/// Adds one counter: of a project, or of the scope `keys` or `models`.
pub fn add_revision<D, R: LedgerRow<D>>(revisions: &mut Revisions, row: &R) -> Result<()> {
    let revision = row::value(row, "revision")?;
    if let Some(project) = row::maybe(row, "project_id")? {
        revisions.projects.push((ProjectId(project), revision));
        return Ok(());
    }
    match row.text("scope")? {
        Some("keys") => revisions.keys = revision,
        Some("models") => revisions.models = revision,
        _ => {}
    }
    Ok(())
}
