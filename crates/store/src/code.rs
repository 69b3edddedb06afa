//! Registering the prompts that application code carries.

use prompt_ledger_domain::ids::{PromptId, VersionId};
use prompt_ledger_domain::prompt::TemplateFormat;
use prompt_ledger_domain::versioning::Registration;

/// What RegisterCodePrompts asks for, checked, the templates parsed by the caller.
#[derive(Clone, Debug)]
pub struct RegisterCode {
    /// The prompts: at least one, each name once.
    pub prompts: Vec<CodePrompt>,
    /// Whether the contents become the active versions.
    pub set_active: bool,
    /// Whether to say what would happen, and write nothing.
    pub dry_run: bool,
    /// Who, as they said: kept with new versions.
    pub created_by: String,
    /// Where the code comes from: kept with new versions.
    pub repository: String,
    /// At which commit: kept with new versions.
    pub commit: String,
}

/// A prompt as code carries it.
#[derive(Clone, Debug)]
pub struct CodePrompt {
    /// The prompt's name.
    pub name: String,
    /// The template, byte for byte.
    pub template_source: String,
    /// How it is read.
    pub template_format: TemplateFormat,
    /// `versioning::checksum` of it.
    pub checksum_hash: String,
    /// The names that the template reads; empty for an opaque one.
    pub variables: Vec<String>,
    /// Absent keeps, empty clears; written only where the content changes something.
    pub description: Option<String>,
    /// As the description.
    pub owner_team: Option<String>,
    /// The file that holds it: kept with a new version.
    pub path: String,
    /// The identity of the prompt, should it be new.
    pub prompt_id: PromptId,
    /// The identity of the version, should it be new.
    pub version_id: VersionId,
}

/// What registering a batch came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// One for each prompt of the batch, in order.
    pub prompts: Vec<RegisteredPrompt>,
    /// The project's revision now.
    pub revision: i64,
}

/// What registering one prompt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisteredPrompt {
    /// What was done, or would be.
    pub action: Registration,
    /// The version that has the content.
    pub version: i32,
    /// The version that was current before.
    pub previous_version: Option<i32>,
}
