//! Enums as lower-case words.

use prompt_ledger_proto::v1;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A word for a value of the contract.
pub(crate) trait WireWord: Sized {
    /// The word of a value; absent where it is unspecified.
    fn of(sent: i32) -> Option<Self>;

    /// The value of the contract.
    fn wire(self) -> i32;
}

macro_rules! wire_words {
    ($($(#[$doc:meta])* $name:ident of $wire:ident { $($variant:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[schema(as = $wire)]
        pub(crate) enum $name { $($variant,)* }

        impl WireWord for $name {
            fn of(sent: i32) -> Option<Self> {
                match v1::$wire::try_from(sent) {
                    $(Ok(v1::$wire::$variant) => Some(Self::$variant),)*
                    _ => None,
                }
            }

            fn wire(self) -> i32 {
                match self { $(Self::$variant => v1::$wire::$variant.into(),)* }
            }
        }

        #[cfg(test)]
        impl $name {
            /// Every word.
            const ALL: &[Self] = &[$(Self::$variant,)*];
        }
    )*};
}

wire_words! {
    /// Where a prompt's templates live: `full` in the ledger, `tracking` in code.
    ModeWord of PromptMode { Full, Tracking, }
    /// Where a version stands.
    VersionStatusWord of VersionStatus { Draft, Active, Deprecated, }
    /// How a template is read: `handlebars` is rendered, `opaque` never is.
    TemplateFormatWord of TemplateFormat { Handlebars, Opaque, }
    /// What a variable's value is: a text, or messages for a placeholder.
    VariableKindWord of TemplateVariableKind { Text, Messages, }
    /// Where an execution stands.
    ExecutionStatusWord of ExecutionStatus { Queued, Running, Succeeded, Failed, Canceled, }
    /// How an execution was asked for: within its call, or through the queue.
    ExecutionModeWord of ExecutionMode { Sync, Async, }
    /// How much of an execution is told: `basic` leaves the texts out.
    ViewWord of ExecutionView { Basic, Full, }
    /// Whether an execution's prompt is what its version renders to.
    VerificationWord of VerificationResult { Match, Mismatch, NotRendered, }
    /// What registering a prompt from code did.
    RegistrationWord of RegistrationAction { New, Updated, Reactivated, Unchanged, }
    /// What a model may or must do with tools.
    ToolRuleWord of ToolChoiceMode { Auto, None, Required, }
    /// What rows of usage are split by.
    DimensionWord of UsageDimension { Mode, Prompt, Version, Model, Environment, Status, }
    /// How long the time of one row is.
    BucketWord of TimeBucket { Minute, Hour, Day, }
    /// What a change did to a prompt.
    ChangeWord of PromptChangeKind {
        Created, VersionCreated, Activated, Status, LabelSet, LabelRemoved, Metadata, Archived, Unarchived, ModeMigrated,
    }
}

/// A mode to filter by, or `all`.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ModeFilter)]
pub(crate) enum ModeFilterWord {
    #[default]
    All,
    Full,
    Tracking,
}

impl ModeFilterWord {
    pub(crate) fn wire(self) -> i32 {
        match self {
            Self::All => v1::PromptMode::Unspecified.into(),
            Self::Full => v1::PromptMode::Full.into(),
            Self::Tracking => v1::PromptMode::Tracking.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! same {
        ($($name:ident,)*) => {$(
            for word in $name::ALL {
                assert_eq!($name::of(word.wire()), Some(*word));
                let told = serde_json::to_value(word).unwrap();
                assert_eq!(serde_json::from_value::<$name>(told).unwrap(), *word);
            }
            assert_eq!($name::of(0), None);
            // Every value of the contract has a word.
            assert_eq!($name::of($name::ALL.len() as i32 + 1), None);
            assert!($name::ALL.iter().all(|word| word.wire() <= $name::ALL.len() as i32));
        )*};
    }

    #[test]
    fn every_value_has_its_word() {
        same! {
            ModeWord, VersionStatusWord, TemplateFormatWord, VariableKindWord, ExecutionStatusWord, ExecutionModeWord,
            ViewWord, VerificationWord, RegistrationWord, ToolRuleWord, DimensionWord, BucketWord, ChangeWord,
        }
    }

    #[test]
    fn a_filter_by_mode_takes_all() {
        for (word, mode) in [("all", 0), ("full", 1), ("tracking", 2)] {
            assert_eq!(serde_json::from_value::<ModeFilterWord>(word.into()).unwrap().wire(), mode);
        }
    }
}
