//! Prompts that leave a ledger, and that arrive in one.

use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::error::{Error, Violations};
use prompt_ledger_domain::label::PromptLabel;
use prompt_ledger_domain::prompt::{Prompt, Source, Version, VersionStatus};
use prompt_ledger_domain::{Reason, Result, Timestamp};
use prompt_ledger_proto::v1::{self, exported_version, prompt_version};
use prompt_ledger_store::Imported;

use super::time::{moment, timestamp};
use super::{content, known, prompt};
use crate::service::registry::{Arriving, ArrivingLabel, ArrivingReference, ArrivingVersion};

/// A message of a prompt that others follow, without its versions.
#[must_use]
pub fn exported(of: &Prompt) -> v1::ExportedPrompt {
    v1::ExportedPrompt {
        name: of.name.clone(),
        mode: prompt::mode(of.mode).into(),
        description: of.description.clone(),
        owner_team: of.owner_team.clone(),
        tags: of.tags.clone(),
        created_at: Some(timestamp(of.created_at)),
        updated_at: Some(timestamp(of.updated_at)),
        more_follows: true,
        ..v1::ExportedPrompt::default()
    }
}

/// The last message of a prompt. `hashes` has the hash of each version, the lowest number first.
#[must_use]
pub fn whole(message: v1::ExportedPrompt, of: &Prompt, hashes: &[String]) -> v1::ExportedPrompt {
    let hash = |number: i32| {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        place.and_then(|place| hashes.get(place)).cloned().unwrap_or_default()
    };
    let label = |held: &PromptLabel| v1::ExportedLabel {
        label: held.label.clone(),
        version_number: held.version_number,
        checksum_hash: hash(held.version_number),
        set_at: Some(timestamp(held.set_at)),
        set_by: held.set_by.clone(),
    };
    v1::ExportedPrompt {
        active_version_number: of.active_version,
        active_checksum_hash: of.active_version.map(hash).unwrap_or_default(),
        archived_at: of.archived_at.map(timestamp),
        labels: of.labels.iter().map(label).collect(),
        more_follows: false,
        ..message
    }
}

#[must_use]
pub fn version(version: Version) -> v1::ExportedVersion {
    let Source { repository, commit, path } = version.source;
    let told = !(repository.is_empty() && commit.is_empty() && path.is_empty());
    let (template, config) = content::to_version(version.content);
    let template = match template {
        prompt_version::Template::TemplateSource(source) => exported_version::Template::TemplateSource(source),
        prompt_version::Template::ChatTemplate(chat) => exported_version::Template::ChatTemplate(chat),
    };
    v1::ExportedVersion {
        version_number: version.number,
        status: prompt::version_status(version.status).into(),
        template: Some(template),
        config,
        template_format: content::to_format(version.template_format).into(),
        checksum_hash: version.checksum_hash,
        created_by: version.created_by,
        created_at: Some(timestamp(version.created_at)),
        source: told.then_some(v1::VersionSource { repository, commit, path }),
        note: version.note,
    }
}

/// A prompt to import. What cannot be converted is noted in it.
#[must_use]
pub fn arriving(sent: v1::ExportedPrompt) -> Arriving {
    let mut violations = Violations::default();
    let mut at = |field: &str, at: Option<prost_types::Timestamp>| -> Option<Timestamp> {
        at.and_then(|at| moment(field, at).map_err(|error| violations.note(error)).ok())
    };
    let created_at = at("created_at", sent.created_at);
    let updated_at = at("updated_at", sent.updated_at);
    let archived_at = at("archived_at", sent.archived_at);
    let labels = sent.labels.into_iter().enumerate().map(|(i, held)| ArrivingLabel {
        label: held.label,
        version: ArrivingReference {
            number: Some(held.version_number).filter(|number| *number != 0),
            checksum_hash: held.checksum_hash,
        },
        set_at: at(&format!("labels[{i}].set_at"), held.set_at),
        set_by: held.set_by,
    });
    let labels = labels.collect();
    let versions = sent.versions.into_iter().enumerate().map(|(i, sent)| arriving_version(i, sent, &mut violations));
    let versions = versions.collect();
    let mode = match known::<v1::PromptMode>("mode", sent.mode) {
        Ok(mode) => prompt::mode_filter(mode),
        Err(error) => {
            violations.note(error);
            None
        }
    };
    let (number, checksum_hash) = (sent.active_version_number, sent.active_checksum_hash);
    let is_active = number.is_some() || !checksum_hash.is_empty();
    Arriving {
        name: sent.name,
        mode,
        description: sent.description,
        owner_team: sent.owner_team,
        tags: sent.tags,
        active: is_active.then_some(ArrivingReference { number, checksum_hash }),
        created_at,
        updated_at,
        archived_at,
        versions,
        labels,
        more_follows: sent.more_follows,
        violations,
    }
}

fn arriving_version(place: usize, sent: v1::ExportedVersion, violations: &mut Violations) -> ArrivingVersion {
    let at = format!("versions[{place}]");
    let status = known::<v1::VersionStatus>(&format!("{at}.status"), sent.status);
    let status = status.map_err(|error| violations.note(error)).ok().and_then(prompt::wanted_status);
    let status = status.unwrap_or_else(|| {
        violations.add(format!("{at}.status"), || "names no status; send it".into());
        VersionStatus::Draft
    });
    let content = content::exported(&at, sent.template, sent.config, violations).unwrap_or_else(|| {
        violations.add(format!("{at}.template"), || "is missing; send it".into());
        VersionContent::text("")
    });
    let template_format = content::format(&format!("{at}.template_format"), sent.template_format, violations);
    let created_at = sent
        .created_at
        .and_then(|sent| moment(&format!("{at}.created_at"), sent).map_err(|error| violations.note(error)).ok());
    let v1::VersionSource { repository, commit, path } = sent.source.unwrap_or_default();
    ArrivingVersion {
        number: sent.version_number,
        status,
        content,
        template_format,
        checksum_hash: sent.checksum_hash,
        created_by: sent.created_by,
        created_at,
        source: Source { repository, commit, path },
        note: sent.note,
    }
}

/// Whether an error is no fault of the prompt that was sent.
#[must_use]
pub fn is_passing(error: &Error) -> bool {
    matches!(error.reason(), Reason::StoreUnavailable | Reason::Overloaded | Reason::Internal | Reason::ProjectNotFound)
}

#[must_use]
pub fn imported(name: String, done: Result<Imported>) -> v1::ImportedPrompt {
    let done = match done {
        Ok(done) => done,
        Err(error) => {
            return v1::ImportedPrompt {
                name,
                action: v1::ImportAction::Refused.into(),
                error_reason: error.reason().as_str().to_owned(),
                error_message: error.parts().message.clone(),
                ..v1::ImportedPrompt::default()
            };
        }
    };
    let action = match (done.created, done.changed) {
        (true, _) => v1::ImportAction::Created,
        (false, true) => v1::ImportAction::Updated,
        (false, false) => v1::ImportAction::Unchanged,
    };
    v1::ImportedPrompt {
        name,
        action: action.into(),
        version_numbers: done.numbers,
        created_versions: i32::try_from(done.created_versions).unwrap_or(i32::MAX),
        activated: done.activated,
        labels_set: done.labels_set,
        ..v1::ImportedPrompt::default()
    }
}
