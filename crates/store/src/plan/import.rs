//! Plans the import of a prompt.

use std::collections::HashMap;

use prompt_ledger_domain::label::{self, LabelMove, LabelTarget, PromptLabel};
use prompt_ledger_domain::mode::Operation;
use prompt_ledger_domain::prompt::{Mode, Prompt, TemplateFormat, Version, VersionStatus};
use prompt_ledger_domain::versioning::{self, Content};
use prompt_ledger_domain::{Error, Result, Timestamp};

use super::log::LoggedWrite;
use super::{Known, Plan, ProjectState};
use crate::{ImportPrompt, ImportVersion, Imported};

/// Plans [`ImportPrompt`]. `before` is the prompt with that name; `known` has, for each of [`ImportPrompt::contents`], the
/// prompt's version with it.
pub fn import(
    project: &ProjectState,
    before: Option<&Prompt>,
    known: &[Option<Known>],
    sent: &ImportPrompt,
    now: Timestamp,
) -> Result<Plan<Imported>> {
    let mut plan = match before {
        Some(before) if !continues(before, known, sent) => merged(project, before, known, sent, now)?,
        before => copied(project, before, known, sent, now)?,
    };
    if sent.dry_run {
        plan.answer.revision = project.revision;
        return Ok(Plan::nothing(plan.answer));
    }
    Ok(plan)
}

/// Whether the prompt is what earlier messages of the same export made, and nothing was written to it since: each write
/// moves `updated_at`.
fn continues(before: &Prompt, known: &[Option<Known>], sent: &ImportPrompt) -> bool {
    let is_next = |(version, number): (&ImportVersion, i32)| version.number == number;
    before.mode == sent.mode
        && (before.created_at, before.updated_at) == (sent.created_at, sent.updated_at)
        && before.active_version.is_none()
        && before.labels.is_empty()
        && before.archived_at.is_none()
        && known.iter().take(sent.versions.len()).all(Option::is_none)
        && sent.versions.iter().zip(before.latest_version + 1..).all(is_next)
}

/// The versions of the prompt that the import is about, by content.
type Targets<'a> = HashMap<&'a str, LabelTarget>;

/// Those that are there already.
fn held<'a>(known: &[Option<Known>], sent: &'a ImportPrompt) -> Targets<'a> {
    let target =
        |known: Known| LabelTarget { number: known.number, status: known.status, format: known.template_format };
    let contents = sent.contents().into_iter().zip(known);
    contents.filter_map(|(content, known)| Some((content, target((*known)?)))).collect()
}

/// The version that `field` refers to by its content.
fn referred(targets: &Targets<'_>, field: &str, content: &str) -> Result<LabelTarget> {
    targets.get(content).copied().ok_or_else(|| {
        let problem = format!(
            "is {content}, and no version with that content is sent or was imported; import the prompt's earlier \
             messages first"
        );
        Error::invalid(field, problem)
    })
}

/// TEMPLATE_OPAQUE where full mode could not execute the version.
fn activate(prompt: &mut Prompt, target: LabelTarget) -> Result<()> {
    if prompt.mode == Mode::Full && target.format == TemplateFormat::Opaque {
        return Err(prompt.opaque(target.number));
    }
    prompt.active_version = Some(target.number);
    Ok(())
}

/// An exact copy, but for ids and revision; of one message where the prompt came in several.
fn copied(
    project: &ProjectState,
    before: Option<&Prompt>,
    known: &[Option<Known>],
    sent: &ImportPrompt,
    now: Timestamp,
) -> Result<Plan<Imported>> {
    let latest = before.map_or(0, |before| before.latest_version);
    if let Some((place, version)) = sent
        .versions
        .iter()
        .enumerate()
        .find(|(place, version)| i32::try_from(*place) != Ok(version.number - latest - 1))
    {
        let problem = format!(
            "is {}, and a new prompt's versions are 1, 2, 3, ...; send {} here, or import the prompt's earlier messages \
             first",
            version.number,
            place + 1
        );
        return Err(Error::invalid(format!("versions[{place}].version_number"), problem));
    }
    let mut prompt = Prompt {
        id: before.map_or(sent.prompt_id, |before| before.id),
        project: project.name.clone(),
        name: sent.name.clone(),
        mode: sent.mode,
        description: sent.description.clone(),
        owner_team: sent.owner_team.clone(),
        tags: sent.tags.clone(),
        active_version: None,
        latest_version: sent.versions.last().map_or(latest, |version| version.number),
        revision: project.revision + 1,
        created_at: sent.created_at,
        updated_at: sent.updated_at,
        archived_at: sent.archived_at,
        labels: Vec::new(),
    };
    let mut added: Vec<_> = sent.versions.iter().map(|version| copy(&prompt, version.number, version)).collect();
    let (mut was, mut left, mut statuses) = (None, None, Vec::new());
    let mut targets = held(known, sent);
    for version in &sent.versions {
        let ImportVersion { number, status, template_format: format, .. } = *version;
        targets.insert(&version.checksum_hash, LabelTarget { number, status, format });
    }
    if let Some(content) = sent.active.as_deref() {
        let active = referred(&targets, "active_checksum_hash", content)?;
        if active.status == VersionStatus::Deprecated {
            let problem = format!("is of version {}, which is deprecated; such a version is not active", active.number);
            return Err(Error::invalid("active_checksum_hash", problem));
        }
        activate(&mut prompt, active)?;
        // A draft becomes active with it: one of this message, or one that came in an earlier message.
        targets.insert(content, LabelTarget { status: VersionStatus::Active, ..active });
        if let Some(version) = added.iter_mut().find(|version| version.number == active.number) {
            version.status = VersionStatus::Active;
        }
        let earlier = known.iter().flatten().find(|known| known.number == active.number);
        if let Some(known) = earlier.filter(|known| known.status != VersionStatus::Active) {
            statuses.push((known.id, VersionStatus::Active));
            (was, left) = (Some((known.number, known.status)), Some((known.number, VersionStatus::Active)));
        }
    }
    for (i, held) in sent.labels.iter().enumerate() {
        let target = referred(&targets, &format!("labels[{i}].checksum_hash"), &held.checksum_hash)?;
        let pointed = label::point(&mut prompt, &held.label, target, held.set_at, &held.set_by);
        pointed.map_err(|error| error.at(&format!("labels[{i}]")))?;
    }
    let write = LoggedWrite { key: &sent.key, created_by: &sent.created_by, added: &added, now };
    let versions = added.iter().map(|version| (version.number, version.status));
    let log = write.log(before, was, &prompt, versions.chain(left));
    let answer = Imported {
        created: before.is_none(),
        changed: true,
        numbers: added.iter().map(|version| version.number).collect(),
        created_versions: added.len(),
        activated: prompt.active_version.is_some(),
        labels_set: names(&prompt.labels),
        revision: prompt.revision,
    };
    Ok(Plan { prompts: vec![prompt], added, statuses, log, answer })
}

/// What an existing prompt does not have is appended; nothing is moved unasked.
fn merged(
    project: &ProjectState,
    before: &Prompt,
    known: &[Option<Known>],
    sent: &ImportPrompt,
    now: Timestamp,
) -> Result<Plan<Imported>> {
    before.check_mode(sent.mode, Operation::Write)?;
    let mut prompt = before.clone();
    let (mut added, mut numbers, mut targets) = (Vec::new(), Vec::new(), held(known, sent));
    for (i, version) in sent.versions.iter().enumerate() {
        let held = targets.get(&*version.checksum_hash).map(|held| (held.number, held.format));
        let content = versioning::content(prompt.latest_version, held, version.template_format)
            .map_err(|error| error.within(&format!("versions[{i}]")))?;
        let (Content::New(number) | Content::Known(number)) = content;
        if held.is_none() {
            added.push(copy(&prompt, number, version));
            prompt.latest_version = number;
            let target = LabelTarget { number, status: version.status, format: version.template_format };
            targets.insert(&version.checksum_hash, target);
        }
        numbers.push(number);
    }
    if let Some(content) = sent.active.as_deref().filter(|_| sent.set_active) {
        let active = referred(&targets, "active_checksum_hash", content)?;
        activate(&mut prompt, active)?;
        targets.insert(content, LabelTarget { status: VersionStatus::Active, ..active });
    }
    let mut labels_set = Vec::new();
    for (i, held) in sent.labels.iter().enumerate().filter(|_| sent.set_labels) {
        let target = referred(&targets, &format!("labels[{i}].checksum_hash"), &held.checksum_hash)?;
        let pointed = label::point(&mut prompt, &held.label, target, now, &held.set_by);
        if pointed.map_err(|error| error.at(&format!("labels[{i}]")))? != LabelMove::Unchanged {
            labels_set.push(held.label.clone());
        }
    }
    labels_set.sort_unstable();
    let mut left: Vec<_> = targets.values().map(|target| (target.number, target.status)).collect();
    left.sort_unstable_by_key(|(number, _)| *number);
    let status = |number: i32| left.iter().find(|(of, _)| *of == number).map(|(_, status)| *status);
    for version in &mut added {
        version.status = status(version.number).unwrap_or(version.status);
    }
    let moved = |known: &Known| Some((known.id, status(known.number).filter(|status| *status != known.status)?));
    let statuses: Vec<_> = known.iter().flatten().filter_map(moved).collect();
    let changed = prompt != *before || !statuses.is_empty();
    if changed {
        before.check_not_archived()?;
    }
    let revision = super::counted(&mut prompt, project.revision, changed, now);
    let was = known.iter().flatten().map(|known| (known.number, known.status));
    let write = LoggedWrite { key: &sent.key, created_by: &sent.created_by, added: &added, now };
    let log = write.log(Some(before), was, &prompt, left.iter().copied());
    let answer = Imported {
        created: false,
        changed,
        numbers,
        created_versions: added.len(),
        activated: prompt.active_version != before.active_version,
        labels_set,
        revision,
    };
    let prompts = if changed { vec![prompt] } else { Vec::new() };
    Ok(Plan { prompts, added, statuses, log, answer })
}

fn names(labels: &[PromptLabel]) -> Vec<String> {
    labels.iter().map(|held| held.label.clone()).collect()
}

fn copy(prompt: &Prompt, number: i32, version: &ImportVersion) -> Version {
    Version {
        id: version.id,
        prompt_id: prompt.id,
        number,
        status: version.status,
        content: version.content.clone(),
        template_format: version.template_format,
        checksum_hash: version.checksum_hash.clone(),
        variables: version.variables.clone(),
        created_by: version.created_by.clone(),
        created_at: version.created_at,
        source: version.source.clone(),
        note: version.note.clone(),
    }
}
