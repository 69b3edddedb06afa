//! Takes prompts out of a ledger, and brings them into another.

use std::collections::HashMap;

use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::error::{Error, Violations};
use prompt_ledger_domain::field::{self, Name};
use prompt_ledger_domain::ids::{ProjectId, PromptId, VersionId};
use prompt_ledger_domain::label::{self, PromptLabel};
use prompt_ledger_domain::prompt::{Mode, Prompt, Source, TemplateFormat, Version, VersionStatus};
use prompt_ledger_domain::prompt_log::AskingKey;
use prompt_ledger_domain::{Result, Timestamp, limits};
use prompt_ledger_store::{ImportPrompt, ImportVersion, Imported, PromptFilter};

use super::put::read_template;
use super::{GoOn, RegistryService};

/// How many names, or versions, are read at once.
const AT_ONCE: usize = 16;

/// A prompt to import, of which nothing was checked yet.
#[derive(Clone, Debug)]
pub struct Arriving {
    pub name: String,
    /// Absent where none was sent, which is INVALID_FIELD.
    pub mode: Option<Mode>,
    pub description: String,
    pub owner_team: String,
    pub tags: Vec<String>,
    pub active_version: Option<i32>,
    /// Absent: now.
    pub created_at: Option<Timestamp>,
    /// Absent: now.
    pub updated_at: Option<Timestamp>,
    pub archived_at: Option<Timestamp>,
    pub versions: Vec<ArrivingVersion>,
    /// A `set_at` of 0 stands for now.
    pub labels: Vec<PromptLabel>,
    /// What could not be converted from the request.
    pub violations: Violations,
}

#[derive(Clone, Debug)]
pub struct ArrivingVersion {
    pub number: i32,
    pub status: VersionStatus,
    pub content: VersionContent,
    pub template_format: TemplateFormat,
    /// As the sender computed it; empty where it is not to be checked.
    pub checksum_hash: String,
    pub created_by: String,
    /// Absent: now.
    pub created_at: Option<Timestamp>,
    pub source: Source,
    pub note: String,
}

/// What is to be moved in prompts that exist.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    pub set_active: bool,
    pub set_labels: bool,
    pub dry_run: bool,
    pub key: AskingKey,
}

impl RegistryService {
    /// Up to `AT_ONCE` names of prompts after `after`, archived ones too, by name.
    pub async fn names_after(&self, project: ProjectId, after: Option<&str>) -> Result<Vec<String>> {
        let filter = PromptFilter { include_archived: true, ..PromptFilter::default() };
        let (found, _) = self.store.prompts(project, &filter, after, AT_ONCE).await?;
        // Every prompt matches: the walk does not stop before it has found as many.
        Ok(found.map(|found| found.prompt.name).rows)
    }

    /// A prompt as it is stored now, archived or not.
    pub async fn exported(&self, project: ProjectId, name: &str) -> Result<Prompt> {
        Ok(self.store.prompt(project, name).await?.prompt)
    }

    /// Up to `AT_ONCE` versions of a prompt after number `after`, by number.
    pub async fn versions_after(&self, project: ProjectId, name: &str, after: i32) -> Result<Vec<Version>> {
        let before = i32::try_from(AT_ONCE).ok().and_then(|count| after.checked_add(count + 1));
        let (mut versions, _) = self.store.versions(project, name, before, AT_ONCE).await?;
        versions.retain(|version| version.number > after);
        versions.reverse();
        Ok(versions)
    }

    /// Imports one prompt.
    pub async fn import(&self, project: ProjectId, sent: Arriving, options: &ImportOptions) -> Result<Imported> {
        let now = prompt_ledger_runtime::now();
        let (name, mode) = check(&sent)?;
        let bytes = sent.versions.iter().map(|version| version.content.bytes()).sum();
        let versions = sent.versions;
        let read = move |_: GoOn<'_>| Ok(versions.into_iter().enumerate().map(|(i, one)| read(i, one, now)).collect());
        let versions: Result<Vec<ImportVersion>> = self.cpu.run(project, bytes, read).await?;
        let versions = versions?;
        let mut hashes = HashMap::new();
        for (i, version) in versions.iter().enumerate() {
            if let Some(first) = hashes.insert(&*version.checksum_hash, i) {
                let problem = format!("has the content of versions[{first}]; each content is one version");
                return Err(Error::invalid(format!("versions[{i}]"), problem));
            }
        }
        let set_at =
            |held: PromptLabel| PromptLabel { set_at: if held.set_at.0 == 0 { now } else { held.set_at }, ..held };
        let mut labels: Vec<_> = sent.labels.into_iter().map(set_at).collect();
        labels.sort_unstable_by(|one, other| one.label.cmp(&other.label));
        let import = ImportPrompt {
            name: name.into_string(),
            mode,
            description: sent.description,
            owner_team: sent.owner_team,
            tags: sent.tags,
            active_version: sent.active_version,
            created_at: sent.created_at.unwrap_or(now),
            updated_at: sent.updated_at.unwrap_or(now),
            archived_at: sent.archived_at,
            versions,
            labels,
            set_active: options.set_active,
            set_labels: options.set_labels,
            dry_run: options.dry_run,
            prompt_id: PromptId(prompt_ledger_runtime::new_id()),
            key: options.key.clone(),
        };
        let (name, dry_run) = (import.name.clone(), import.dry_run);
        let imported = self.store.import_prompt(project, import).await?;
        if imported.changed && !dry_run {
            self.held.of(project).written(&name, imported.revision);
        }
        Ok(imported)
    }
}

/// Checks every field but the contents.
fn check(sent: &Arriving) -> Result<(Name, Mode)> {
    let mut wrong = sent.violations.clone();
    let name = wrong.keep(Name::parse("name", &sent.name))?;
    if sent.mode.is_none() {
        wrong.add("mode".into(), || "is missing; send it".into());
    }
    wrong.keep(field::text("description", sent.description.clone(), limits::DESCRIPTION_BYTES))?;
    wrong.keep(field::text("owner_team", sent.owner_team.clone(), limits::SHORT_TEXT_BYTES))?;
    wrong.keep(field::tags("tags", sent.tags.clone()))?;
    let names: Vec<_> = sent.labels.iter().map(|held| held.label.clone()).collect();
    wrong.keep(label::check_names("labels", &names))?;
    if sent.versions.is_empty() {
        wrong.add("versions".into(), || "are none; send at least one".into());
    }
    let mut last = 0;
    for (i, version) in sent.versions.iter().enumerate() {
        let at = |name: &str| format!("versions[{i}].{name}");
        if version.number <= last {
            wrong.add(at("version_number"), || format!("is {} behind {last}; numbers grow from 1", version.number));
        }
        last = version.number;
        let Source { repository, commit, path } = &version.source;
        for (name, text, most) in [
            ("created_by", &version.created_by, limits::SHORT_TEXT_BYTES),
            ("note", &version.note, limits::NOTE_BYTES),
            ("source.repository", repository, limits::SHORT_TEXT_BYTES),
            ("source.commit", commit, limits::SHORT_TEXT_BYTES),
            ("source.path", path, limits::SHORT_TEXT_BYTES),
        ] {
            wrong.keep(field::text(&at(name), text.clone(), most))?;
        }
    }
    let find = |number: i32| sent.versions.iter().find(|version| version.number == number);
    if let Some(active) = sent.active_version {
        check_reference(&mut wrong, "active_version_number", active, find(active), sent.mode);
    }
    for (i, held) in sent.labels.iter().enumerate() {
        wrong.keep(field::text(&format!("labels[{i}].set_by"), held.set_by.clone(), limits::SHORT_TEXT_BYTES))?;
        let field = format!("labels[{i}].version_number");
        check_reference(&mut wrong, &field, held.version_number, find(held.version_number), sent.mode);
    }
    wrong.finish(name.zip(sent.mode))
}

/// A version that something points at: it must be sent, and in full mode be rendered here.
fn check_reference(
    wrong: &mut Violations,
    field: &str,
    number: i32,
    version: Option<&ArrivingVersion>,
    mode: Option<Mode>,
) {
    match version {
        None => wrong.add(field.to_owned(), || format!("is {number}, and no version of that number is sent")),
        Some(version) if mode == Some(Mode::Full) && version.template_format == TemplateFormat::Opaque => {
            wrong.add(field.to_owned(), || format!("is {number}, which is opaque; full mode cannot execute it"));
        }
        Some(version) if version.status == VersionStatus::Deprecated => {
            wrong.add(field.to_owned(), || {
                format!("is {number}, which is deprecated; nothing points at such a version")
            });
        }
        Some(_) => {}
    }
}

/// Checks and reads a content.
fn read(place: usize, sent: ArrivingVersion, now: Timestamp) -> Result<ImportVersion> {
    let at = format!("versions[{place}]");
    let read = || {
        sent.content.check(sent.template_format)?;
        let variables = match (sent.template_format, sent.content.source()) {
            (TemplateFormat::Opaque, Some(source)) => {
                field::no_nul("template_source", source)?;
                Vec::new()
            }
            (TemplateFormat::Opaque | TemplateFormat::Handlebars, _) => read_template(&sent.content)?.0,
        };
        Ok((sent.content.checksum()?, variables))
    };
    let (checksum_hash, variables) = read().map_err(|error: Error| error.within(&at))?;
    if !sent.checksum_hash.is_empty() && sent.checksum_hash != checksum_hash {
        let mut wrong = Violations::default();
        let told = field::shown(&sent.checksum_hash);
        wrong.add(format!("{at}.checksum_hash"), || format!("is `{told}`, but that of the content is {checksum_hash}"));
        return Err(Error::template_hash_mismatch(wrong, &at, &checksum_hash));
    }
    let created_at = sent.created_at.unwrap_or(now);
    let ArrivingVersion { number, status, content, template_format, created_by, source, note, .. } = sent;
    let id = VersionId(prompt_ledger_runtime::new_id());
    Ok(ImportVersion {
        id,
        number,
        status,
        content,
        template_format,
        checksum_hash,
        variables,
        created_by,
        created_at,
        source,
        note,
    })
}
