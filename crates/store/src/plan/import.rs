//! Plans the import of a prompt.

use prompt_ledger_domain::label::{self, LabelMove, LabelTarget};
use prompt_ledger_domain::prompt::{Prompt, TemplateFormat, Version, VersionStatus};
use prompt_ledger_domain::versioning::{self, Content};
use prompt_ledger_domain::{Error, Result, Timestamp};

use super::log::LoggedWrite;
use super::{Known, Plan, ProjectState};
use crate::{ImportPrompt, ImportVersion, Imported};

/// Plans [`ImportPrompt`]. `before` is the prompt with that name; `known` has, for each version that is sent, in order, the
/// prompt's version with that content.
pub fn import(
    project: &ProjectState,
    before: Option<&Prompt>,
    known: &[Option<Known>],
    sent: &ImportPrompt,
    now: Timestamp,
) -> Result<Plan<Imported>> {
    let mut plan = match before {
        None => created(project, sent, now)?,
        Some(before) => merged(project, before, known, sent, now)?,
    };
    if sent.dry_run {
        plan.answer.revision = project.revision;
        return Ok(Plan::nothing(plan.answer));
    }
    Ok(plan)
}

/// An exact copy, but for ids and revision.
fn created(project: &ProjectState, sent: &ImportPrompt, now: Timestamp) -> Result<Plan<Imported>> {
    if let Some((version, expected)) =
        sent.versions.iter().zip(1..).find(|(version, expected)| version.number != *expected)
    {
        let problem =
            format!("is {}, and a new prompt's versions are 1, 2, 3, ...; send {expected} here", version.number);
        return Err(Error::invalid(format!("versions[{}].version_number", expected - 1), problem));
    }
    let prompt = Prompt {
        id: sent.prompt_id,
        project: project.name.clone(),
        name: sent.name.clone(),
        mode: sent.mode,
        description: sent.description.clone(),
        owner_team: sent.owner_team.clone(),
        tags: sent.tags.clone(),
        active_version: sent.active_version,
        latest_version: sent.versions.last().map_or(0, |version| version.number),
        revision: project.revision + 1,
        created_at: sent.created_at,
        updated_at: sent.updated_at,
        archived_at: sent.archived_at,
        labels: sent.labels.clone(),
    };
    let added: Vec<_> = sent.versions.iter().map(|version| copied(&prompt, version.number, version)).collect();
    let write = LoggedWrite { key: &sent.key, created_by: "", note: "", now };
    let log = write.log(None, [], &prompt, added.iter().map(|version| (version.number, version.status)));
    let answer = Imported {
        created: true,
        changed: true,
        numbers: added.iter().map(|version| version.number).collect(),
        created_versions: added.len(),
        activated: prompt.active_version.is_some(),
        labels_set: prompt.labels.iter().map(|held| held.label.clone()).collect(),
        revision: prompt.revision,
    };
    Ok(Plan { prompts: vec![prompt], added, statuses: Vec::new(), log, answer })
}

/// What an existing prompt does not have is appended; nothing is moved unasked.
fn merged(
    project: &ProjectState,
    before: &Prompt,
    known: &[Option<Known>],
    sent: &ImportPrompt,
    now: Timestamp,
) -> Result<Plan<Imported>> {
    if before.mode != sent.mode {
        return Err(Error::mode_mismatch(&before.name, before.mode, prompt_ledger_domain::mode::Operation::Write));
    }
    before.check_not_archived()?;
    let mut prompt = before.clone();
    let (mut added, mut statuses, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for (i, (version, known)) in sent.versions.iter().zip(known).enumerate() {
        let held = known.map(|known| (known.number, known.template_format));
        let content = versioning::content(prompt.latest_version, held, version.template_format)
            .map_err(|error| error.within(&format!("versions[{i}]")))?;
        let (number, status) = match (content, known) {
            (Content::Known(number), Some(known)) => (number, known.status),
            (Content::New(number) | Content::Known(number), _) => {
                added.push(copied(&prompt, number, version));
                prompt.latest_version = number;
                (number, version.status)
            }
        };
        targets.push(LabelTarget { number, status, format: version.template_format });
    }
    let target_of = |number: i32| {
        let place = sent.versions.iter().position(|version| version.number == number);
        place.and_then(|place| Some((place, *targets.get(place)?)))
    };
    let active = sent.active_version.filter(|_| sent.set_active).and_then(target_of);
    if let Some((place, target)) = active {
        if prompt.mode == prompt_ledger_domain::prompt::Mode::Full && target.format == TemplateFormat::Opaque {
            return Err(prompt.opaque(target.number));
        }
        prompt.active_version = Some(target.number);
        match (known.get(place).copied().flatten(), added.iter_mut().find(|version| version.number == target.number)) {
            (_, Some(version)) => version.status = VersionStatus::Active,
            (Some(known), None) if known.status != VersionStatus::Active => {
                statuses.push((known.id, VersionStatus::Active));
            }
            (Some(_) | None, None) => {}
        }
    }
    let mut labels_set = Vec::new();
    for held in sent.labels.iter().filter(|_| sent.set_labels) {
        let Some((_, target)) = target_of(held.version_number) else { continue };
        let is_active = active.is_some_and(|(_, active)| active.number == target.number);
        let target = LabelTarget { status: if is_active { VersionStatus::Active } else { target.status }, ..target };
        if label::point(&mut prompt, &held.label, target, now, &held.set_by)? != LabelMove::Unchanged {
            labels_set.push(held.label.clone());
        }
    }
    let changed = prompt != *before || !statuses.is_empty();
    let revision = super::counted(&mut prompt, project.revision, changed, now);
    let was = known.iter().flatten().map(|known| (known.number, known.status));
    let is = targets.iter().map(|target| {
        let is_active = active.is_some_and(|(_, active)| active.number == target.number);
        (target.number, if is_active { VersionStatus::Active } else { target.status })
    });
    let write = LoggedWrite { key: &sent.key, created_by: "", note: "", now };
    let mut is: Vec<_> = is.collect();
    is.sort_unstable_by_key(|(number, _)| *number);
    let log = if changed { write.log(Some(before), was, &prompt, is) } else { Vec::new() };
    let answer = Imported {
        created: false,
        changed,
        numbers: targets.iter().map(|target| target.number).collect(),
        created_versions: added.len(),
        activated: prompt.active_version != before.active_version,
        labels_set,
        revision,
    };
    let prompts = if changed { vec![prompt] } else { Vec::new() };
    Ok(Plan { prompts, added, statuses, log, answer })
}

fn copied(prompt: &Prompt, number: i32, version: &ImportVersion) -> Version {
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
