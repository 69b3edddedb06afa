//! Registering the prompts that application code carries.

use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::ids::{PromptId, VersionId};
use prompt_ledger_domain::prompt::TemplateFormat;
use prompt_ledger_domain::prompt_log::AskingKey;
use prompt_ledger_domain::versioning::Registration;

/// A RegisterCodePrompts request whose fields were checked and whose templates were parsed by the caller.
#[derive(Clone, Debug)]
pub struct RegisterCode {
    /// 1 to `limits::BATCH_PROMPTS` prompts with distinct names.
    pub prompts: Vec<CodePrompt>,
    /// Whether the contents become the active versions.
    pub set_active: bool,
    /// Whether to return what would happen without writing it.
    pub dry_run: bool,
    /// Author as stated by the caller, not verified; stored with new versions only.
    pub created_by: String,
    /// Source repository; stored with new versions only.
    pub repository: String,
    /// Commit in that repository; stored with new versions only.
    pub commit: String,
    /// The key that asked, for the change log.
    pub key: AskingKey,
}

/// One prompt of a batch.
#[derive(Clone, Debug)]
pub struct CodePrompt {
    /// Name of the prompt, unique within the project.
    pub name: String,
    /// What the version is to hold; it passed `VersionContent::check`.
    pub content: VersionContent,
    /// Whether the template is rendered by the ledger or opaque to it.
    pub template_format: TemplateFormat,
    /// `VersionContent::checksum` of the content.
    pub checksum_hash: String,
    /// Names that the template reads, placeholders among them; empty for an opaque one.
    pub variables: Vec<String>,
    /// Absent keeps the present one, empty clears it; written only where the registration changes a version or the
    /// active one.
    pub description: Option<String>,
    /// As [`Self::description`].
    pub owner_team: Option<String>,
    /// Path of the source file in the repository; stored with a new version only.
    pub path: String,
    /// Why the version is; stored with a new version only.
    pub note: String,
    /// Labels to point at the version with this content; they passed `label::check_names`.
    pub labels: Vec<String>,
    /// Id for the prompt if the write creates it.
    pub prompt_id: PromptId,
    /// Id for the version if the write creates it.
    pub version_id: VersionId,
}

/// Result of registering a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// One entry for each prompt of the batch, in its order.
    pub prompts: Vec<RegisteredPrompt>,
    /// The project's revision after the write; in a dry run the present one.
    pub revision: i64,
}

/// Result of registering one prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisteredPrompt {
    /// What was done, or in a dry run would be.
    pub action: Registration,
    /// Number of the version that has the content.
    pub version: i32,
    /// Number of the version that was active before; absent where none was.
    pub previous_version: Option<i32>,
}
