//! Takes prompts out of a ledger, and brings them into another.

use std::collections::HashMap;

use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::error::{Error, Violations};
use prompt_ledger_domain::field::{self, Name};
use prompt_ledger_domain::ids::{ProjectId, PromptId, VersionId};
use prompt_ledger_domain::label;
use prompt_ledger_domain::prompt::{Mode, Prompt, Source, TemplateFormat, Version, VersionStatus};
use prompt_ledger_domain::prompt_log::AskingKey;
use prompt_ledger_domain::{Result, Timestamp, limits};
use prompt_ledger_store::{ImportLabel, ImportPrompt, ImportVersion, Imported, PromptFilter};
use prompt_ledger_template::content::ParsedTemplate;

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
    /// Absent: none.
    pub active: Option<ArrivingReference>,
    /// Absent: now.
    pub created_at: Option<Timestamp>,
    /// Absent: now.
    pub updated_at: Option<Timestamp>,
    pub archived_at: Option<Timestamp>,
    pub versions: Vec<ArrivingVersion>,
    pub labels: Vec<ArrivingLabel>,
    /// Whether another message of the prompt follows this one.
    pub more_follows: bool,
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

/// A version that a prompt to import refers to, by its number among those that are sent, by its hash, or by both.
#[derive(Clone, Debug)]
pub struct ArrivingReference {
    pub number: Option<i32>,
    /// Empty where none was sent.
    pub checksum_hash: String,
}

#[derive(Clone, Debug)]
pub struct ArrivingLabel {
    pub label: String,
    pub version: ArrivingReference,
    /// Absent: now.
    pub set_at: Option<Timestamp>,
    pub set_by: String,
}

/// What is to be moved in prompts that exist.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    pub set_active: bool,
    pub set_labels: bool,
    pub dry_run: bool,
    pub created_by: String,
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
        let mut wrong = Violations::default();
        let active = match &sent.active {
            Some(active) => wrong.keep(active.content(["active_version_number", "active_checksum_hash"], &versions))?,
            None => None,
        };
        let mut labels = Vec::with_capacity(sent.labels.len());
        for (i, ArrivingLabel { label, version, set_at, set_by }) in sent.labels.into_iter().enumerate() {
            let fields = ["version_number", "checksum_hash"].map(|field| format!("labels[{i}].{field}"));
            let content = wrong.keep(version.content(fields.each_ref().map(|field| &**field), &versions))?;
            let set_at = set_at.unwrap_or(now);
            labels.extend(content.map(|checksum_hash| ImportLabel { label, checksum_hash, set_at, set_by }));
        }
        wrong.finish(Some(()))?;
        let import = ImportPrompt {
            name: name.into_string(),
            mode,
            description: sent.description,
            owner_team: sent.owner_team,
            tags: sent.tags,
            active,
            created_at: sent.created_at.unwrap_or(now),
            updated_at: sent.updated_at.unwrap_or(now),
            archived_at: sent.archived_at,
            versions,
            labels,
            set_active: options.set_active,
            set_labels: options.set_labels,
            dry_run: options.dry_run,
            prompt_id: PromptId(prompt_ledger_runtime::new_id()),
            created_by: options.created_by.clone(),
            key: options.key.clone(),
        };
        let (name, dry_run) = (import.name.clone(), import.dry_run);
        let imported = self.store.import_prompt(project, import).await?;
        if imported.changed && !dry_run {
            self.held.of(project).written(&name, imported.revision);
            self.heads.wrote(project, imported.revision);
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
    for (i, held) in sent.labels.iter().enumerate() {
        wrong.keep(field::text(&format!("labels[{i}].set_by"), held.set_by.clone(), limits::SHORT_TEXT_BYTES))?;
    }
    let last = [
        ("active_version_number", sent.active.is_some()),
        ("labels", !sent.labels.is_empty()),
        ("archived_at", sent.archived_at.is_some()),
    ];
    for (name, _) in last.into_iter().filter(|(_, there)| *there && sent.more_follows) {
        wrong.add(name.into(), || "comes with the last message of a prompt, and `more_follows` is set".into());
    }
    wrong.finish(name.zip(sent.mode))
}

impl ArrivingReference {
    /// The hash of the version that is meant; `fields` are the names of number and hash.
    fn content(&self, fields: [&str; 2], sent: &[ImportVersion]) -> Result<String> {
        let [number_field, hash_field] = fields;
        let numbered = sent.iter().find(|version| self.number == Some(version.number));
        let hash = field::text(hash_field, self.checksum_hash.clone(), limits::SHORT_TEXT_BYTES)?;
        let named = sent.iter().find(|version| version.checksum_hash == hash);
        match (numbered, named, self.number) {
            (Some(numbered), _, _) if hash.is_empty() => Ok(numbered.checksum_hash.clone()),
            (None, _, number) if hash.is_empty() => {
                let number = number.unwrap_or_default();
                let problem = format!("is {number}, and no version of that number is sent; name it by `{hash_field}`");
                Err(Error::invalid(number_field, problem))
            }
            (Some(numbered), _, _) if numbered.checksum_hash != hash => {
                let problem = format!("is that of another content than version {}, which is sent", numbered.number);
                Err(Error::invalid(hash_field, problem))
            }
            (None, Some(named), Some(number)) => {
                let problem = format!("is {number}, and the version of that hash is sent as {}", named.number);
                Err(Error::invalid(number_field, problem))
            }
            _ => Ok(hash),
        }
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
            (TemplateFormat::Opaque | TemplateFormat::Handlebars, _) => {
                let template = ParsedTemplate::parse_stored(&sent.content.template)?;
                template.variables().iter().map(|variable| variable.name.clone()).collect()
            }
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
