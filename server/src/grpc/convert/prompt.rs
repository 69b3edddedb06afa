//! Prompts and versions.

use prompt_ledger_domain::field::Name;
use prompt_ledger_domain::prompt as domain;
use prompt_ledger_domain::spec::SpecSelector;
use prompt_ledger_domain::{Error, Result};
use prompt_ledger_proto::v1;

use super::time::timestamp;
use super::{content, label};

#[must_use]
pub fn prompt(prompt: domain::Prompt) -> v1::Prompt {
    v1::Prompt {
        etag: prompt.etag(),
        prompt_id: prompt.id.to_string(),
        project: prompt.project,
        name: prompt.name,
        mode: mode(prompt.mode).into(),
        description: prompt.description,
        owner_team: prompt.owner_team,
        tags: prompt.tags,
        active_version_number: prompt.active_version,
        latest_version_number: prompt.latest_version,
        revision: prompt.revision,
        created_at: Some(timestamp(prompt.created_at)),
        updated_at: Some(timestamp(prompt.updated_at)),
        archived_at: prompt.archived_at.map(timestamp),
        labels: prompt.labels.into_iter().map(label::label).collect(),
    }
}

/// A version of the prompt.
#[must_use]
pub fn version(version: domain::Version, of: &domain::Prompt) -> v1::PromptVersion {
    let labels = of.labels.iter().filter(|held| held.version_number == version.number);
    let labels = labels.map(|held| held.label.clone()).collect();
    let variables = content::to_variables(&version);
    let (template, config) = content::to_version(version.content);
    let domain::Source { repository, commit, path } = version.source;
    let told = !(repository.is_empty() && commit.is_empty() && path.is_empty());
    v1::PromptVersion {
        version_id: version.id.to_string(),
        prompt_id: version.prompt_id.to_string(),
        prompt_name: of.name.clone(),
        version_number: version.number,
        status: version_status(version.status).into(),
        template: Some(template),
        config,
        template_format: content::to_format(version.template_format).into(),
        checksum_hash: version.checksum_hash,
        variables,
        created_by: version.created_by,
        created_at: Some(timestamp(version.created_at)),
        source: told.then_some(v1::VersionSource { repository, commit, path }),
        execution_count: None,
        labels,
        note: version.note,
    }
}

#[must_use]
pub fn mode(mode: domain::Mode) -> v1::PromptMode {
    match mode {
        domain::Mode::Full => v1::PromptMode::Full,
        domain::Mode::Tracking => v1::PromptMode::Tracking,
    }
}

/// The mode that a filter names; absent for all.
#[must_use]
pub fn mode_filter(mode: v1::PromptMode) -> Option<domain::Mode> {
    match mode {
        v1::PromptMode::Unspecified => None,
        v1::PromptMode::Full => Some(domain::Mode::Full),
        v1::PromptMode::Tracking => Some(domain::Mode::Tracking),
    }
}

#[must_use]
pub fn version_status(status: domain::VersionStatus) -> v1::VersionStatus {
    match status {
        domain::VersionStatus::Draft => v1::VersionStatus::Draft,
        domain::VersionStatus::Active => v1::VersionStatus::Active,
        domain::VersionStatus::Deprecated => v1::VersionStatus::Deprecated,
    }
}

/// The status that a request names; absent where it is unspecified.
#[must_use]
pub fn wanted_status(status: v1::VersionStatus) -> Option<domain::VersionStatus> {
    match status {
        v1::VersionStatus::Unspecified => None,
        v1::VersionStatus::Draft => Some(domain::VersionStatus::Draft),
        v1::VersionStatus::Active => Some(domain::VersionStatus::Active),
        v1::VersionStatus::Deprecated => Some(domain::VersionStatus::Deprecated),
    }
}

macro_rules! selector {
    ($($name:ident from $oneof:path,)*) => {$(
        /// The version that a request's selector names.
        #[must_use]
        pub fn $name(selector: $oneof) -> SpecSelector {
            use $oneof as Wire;
            match selector {
                Wire::VersionNumber(number) => SpecSelector::Number(number),
                Wire::Label(label) => SpecSelector::Label(label),
                Wire::ChecksumHash(checksum) => SpecSelector::Checksum(checksum),
            }
        }
    )*};
}

selector! {
    spec_selector from v1::execution_spec::Selector,
    version_selector from v1::get_version_request::Selector,
}

/// The version that a request to render names; absent for a draft.
#[must_use]
pub fn render_selector(selector: v1::render_prompt_request::Selector) -> Option<SpecSelector> {
    use v1::render_prompt_request::Selector as Wire;
    match selector {
        Wire::VersionNumber(number) => Some(SpecSelector::Number(number)),
        Wire::Label(label) => Some(SpecSelector::Label(label)),
        Wire::ChecksumHash(checksum) => Some(SpecSelector::Checksum(checksum)),
        Wire::Draft(_) => None,
    }
}

/// The number of a version; INVALID_FIELD below 1.
pub fn version_number(number: i32) -> Result<i32> {
    match number {
        1.. => Ok(number),
        _ => Err(Error::invalid("version_number", format!("is {number}; versions are counted from 1"))),
    }
}

/// The selector of a request; the active version where it has none. INVALID_FIELD where `name` is no name.
pub fn selector(name: &str, sent: Option<SpecSelector>) -> Result<Option<SpecSelector>> {
    Name::parse("name", name)?;
    Ok(sent)
}
