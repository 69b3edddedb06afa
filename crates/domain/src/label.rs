//! Labels: names that point at versions until they are moved.

use crate::Timestamp;
use crate::error::{Error, Result};
use crate::field::{Name, shown};
use crate::limits;
use crate::mode::Mode;
use crate::prompt::{Prompt, TemplateFormat, VersionStatus};

/// The labels that every prompt has, and nobody sets.
pub const BUILT_IN: [&str; 2] = ["active", "latest"];

/// A label of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptLabel {
    /// A [`Name`], unique in the prompt; none of [`BUILT_IN`].
    pub label: String,
    /// The version that it points at.
    pub version_number: i32,
    /// When it was set to that version.
    pub set_at: Timestamp,
    /// Who set it, as the request named them, at most 255 bytes; empty where it named nobody.
    pub set_by: String,
}

/// What setting a label does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelMove {
    /// It points at that version already: nothing is written.
    Unchanged,
    /// The prompt does not have it yet.
    New,
    /// It points at the version of this number, and is moved.
    From(i32),
}

/// Checks the name of a label that is to be set or removed: a [`Name`] that is not built in. INVALID_FIELD at `field`.
pub fn check_name(field: &str, label: &str) -> Result<Name> {
    if BUILT_IN.contains(&label) {
        let problem = format!("is `{label}`, which is built in and cannot be set; choose another name");
        return Err(Error::invalid(field, problem));
    }
    Name::parse(field, label)
}

/// Checks the names of labels that come with a content: at most [`limits::LABELS`], each once.
pub fn check_names(field: &str, labels: &[String]) -> Result<()> {
    if labels.len() > limits::LABELS {
        let problem = format!("holds {} labels; at most {} are allowed", labels.len(), limits::LABELS);
        return Err(Error::invalid(field, problem));
    }
    for (i, label) in labels.iter().enumerate() {
        let place = format!("{field}[{i}]");
        check_name(&place, label)?;
        if labels[..i].contains(label) {
            return Err(Error::invalid(place, format!("`{}` stands twice", shown(label))));
        }
    }
    Ok(())
}

/// The version that a label is to point at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelTarget {
    /// Its number.
    pub number: i32,
    /// Its status once the write is done.
    pub status: VersionStatus,
    /// Whether it can be rendered.
    pub format: TemplateFormat,
}

/// Decides what setting `label` to `target` does. INVALID_FIELD for a deprecated version and beyond [`limits::LABELS`],
/// TEMPLATE_OPAQUE for an opaque version in full mode.
pub fn set(prompt: &Prompt, label: &str, target: LabelTarget) -> Result<LabelMove> {
    let number = target.number;
    let held = prompt.labels.iter().find(|held| held.label == label);
    if held.is_some_and(|held| held.version_number == number) {
        return Ok(LabelMove::Unchanged);
    }
    if target.status == VersionStatus::Deprecated {
        let name = &prompt.name;
        let problem = format!("version {number} of `{name}` is deprecated; activate it first, or label another");
        return Err(Error::invalid("version_number", problem));
    }
    if prompt.mode == Mode::Full && target.format == TemplateFormat::Opaque {
        return Err(prompt.opaque(number));
    }
    match held {
        Some(held) => Ok(LabelMove::From(held.version_number)),
        None if prompt.labels.len() >= limits::LABELS => {
            let (name, most) = (&prompt.name, limits::LABELS);
            Err(Error::invalid("label", format!("is new, and `{name}` has {most} labels, the most; remove one first")))
        }
        None => Ok(LabelMove::New),
    }
}

/// Sets a label as [`set`] allows it, at a time and by whom the request named.
pub fn point(prompt: &mut Prompt, label: &str, target: LabelTarget, at: Timestamp, by: &str) -> Result<LabelMove> {
    let done = set(prompt, label, target)?;
    if done != LabelMove::Unchanged {
        prompt.labels.retain(|held| held.label != label);
        let place = prompt.labels.partition_point(|held| *held.label < *label);
        let (label, set_by) = (label.to_owned(), by.to_owned());
        prompt.labels.insert(place, PromptLabel { label, version_number: target.number, set_at: at, set_by });
    }
    Ok(done)
}

/// Removes a label; returns the version that it pointed at. LABEL_NOT_FOUND where the prompt does not have it.
pub fn remove(prompt: &mut Prompt, label: &str) -> Result<i32> {
    let number = find(prompt, label)?.version_number;
    prompt.labels.retain(|held| held.label != label);
    Ok(number)
}

/// The label of this name; LABEL_NOT_FOUND where the prompt does not have it.
pub fn find<'a>(prompt: &'a Prompt, label: &str) -> Result<&'a PromptLabel> {
    let found = prompt.labels.iter().find(|held| held.label == label);
    found.ok_or_else(|| Error::label_not_found(&prompt.name, label))
}

/// VERSION_IN_USE where a label points at the version, which is to be deprecated.
pub fn check_unlabelled(prompt: &Prompt, number: i32) -> Result<()> {
    match prompt.labels.iter().find(|held| held.version_number == number) {
        None => Ok(()),
        Some(held) => Err(Error::version_labelled(&prompt.name, number, &held.label)),
    }
}

/// TEMPLATE_OPAQUE where a prompt that is to move to full mode has a label on one of its opaque versions, whose numbers are
/// `opaque`.
pub fn check_migration(prompt: &Prompt, opaque: &[i32], wanted: Mode) -> Result<()> {
    let labelled = prompt.labels.iter().map(|held| held.version_number).find(|number| opaque.contains(number));
    match labelled {
        Some(number) if wanted == Mode::Full && prompt.mode != wanted => Err(prompt.opaque(number)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
