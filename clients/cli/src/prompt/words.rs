//! Words and colours of what the registry says.

use prompt_ledger_client::v1;

use crate::style::Tone;
use crate::table::Cell;

pub(crate) fn mode(mode: v1::PromptMode) -> &'static str {
    match mode {
        v1::PromptMode::Full => "full",
        v1::PromptMode::Tracking => "tracking",
        v1::PromptMode::Unspecified => "",
    }
}

pub(crate) fn status(status: v1::VersionStatus) -> &'static str {
    match status {
        v1::VersionStatus::Draft => "draft",
        v1::VersionStatus::Active => "active",
        v1::VersionStatus::Deprecated => "deprecated",
        v1::VersionStatus::Unspecified => "",
    }
}

pub(crate) fn status_cell(of: v1::VersionStatus) -> Cell {
    let tone = match of {
        v1::VersionStatus::Active => Tone::Good,
        v1::VersionStatus::Deprecated => Tone::Warning,
        v1::VersionStatus::Draft | v1::VersionStatus::Unspecified => Tone::Dim,
    };
    Cell::new(tone, status(of))
}

/// As `production=3 staging=4`.
pub(crate) fn labels(prompt: &v1::Prompt) -> String {
    let label = |label: &v1::PromptLabel| format!("{}={}", label.label, label.version_number);
    prompt.labels.iter().map(label).collect::<Vec<_>>().join(" ")
}

/// A version's number, `-` for an absent one.
pub(crate) fn number(number: Option<i32>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}
