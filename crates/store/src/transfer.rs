//! Prompts that come from another ledger.

use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::ids::{PromptId, VersionId};
use prompt_ledger_domain::prompt::{Mode, Source, TemplateFormat, VersionStatus};
use prompt_ledger_domain::prompt_log::AskingKey;

/// A prompt to import, whose fields were checked and whose templates were parsed by the caller.
#[derive(Clone, Debug)]
pub struct ImportPrompt {
    /// Name of the prompt, unique within the project.
    pub name: String,
    /// Its mode; an existing prompt must have it.
    pub mode: Mode,
    /// Used only if the prompt is created, as are all fields to `archived_at`.
    pub description: String,
    /// The responsible team.
    pub owner_team: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// `checksum_hash` of the active version, which is sent or was imported before.
    pub active: Option<String>,
    /// When it was created where it comes from.
    pub created_at: Timestamp,
    /// When it was last written there.
    pub updated_at: Timestamp,
    /// When it was archived there.
    pub archived_at: Option<Timestamp>,
    /// By number; without gaps from 1 where the prompt is created. At least one.
    pub versions: Vec<ImportVersion>,
    /// Its labels.
    pub labels: Vec<ImportLabel>,
    /// Whether an existing prompt's active pointer moves to the content of the sent active version.
    pub set_active: bool,
    /// Whether the labels are set in an existing prompt.
    pub set_labels: bool,
    /// Whether to return what would happen without writing it.
    pub dry_run: bool,
    /// Id for the prompt if the write creates it.
    pub prompt_id: PromptId,
    /// Who imports, for the change log; empty for nobody.
    pub created_by: String,
    /// The key that asked, for the change log.
    pub key: AskingKey,
}

impl ImportPrompt {
    /// The contents to look up: of the versions that are sent, in order, then those that are only referred to.
    pub fn contents(&self) -> Vec<&str> {
        let mut contents: Vec<_> = self.versions.iter().map(|version| &*version.checksum_hash).collect();
        let labelled = self.labels.iter().map(|label| &*label.checksum_hash);
        for content in self.active.as_deref().into_iter().chain(labelled) {
            if !contents.contains(&content) {
                contents.push(content);
            }
        }
        contents
    }
}

/// A label to import.
#[derive(Clone, Debug)]
pub struct ImportLabel {
    /// Its name.
    pub label: String,
    /// Of the version that it points at, which is sent or was imported before.
    pub checksum_hash: String,
    /// When it was set there.
    pub set_at: Timestamp,
    /// By whom it was set there.
    pub set_by: String,
}

/// A version to import.
#[derive(Clone, Debug)]
pub struct ImportVersion {
    /// Id for the version if the write creates it.
    pub id: VersionId,
    /// Its number where it comes from.
    pub number: i32,
    /// Its status there.
    pub status: VersionStatus,
    /// What it holds; it passed `VersionContent::check`.
    pub content: VersionContent,
    /// Whether the ledger renders it.
    pub template_format: TemplateFormat,
    /// `VersionContent::checksum` of the content; another one for each version.
    pub checksum_hash: String,
    /// Names that the template reads; empty for an opaque one.
    pub variables: Vec<String>,
    /// Author as told there.
    pub created_by: String,
    /// When it was created there.
    pub created_at: Timestamp,
    /// Where in code it is.
    pub source: Source,
    /// Why it is.
    pub note: String,
}

/// What importing a prompt did, or in a dry run would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The prompt did not exist.
    pub created: bool,
    /// Something was written.
    pub changed: bool,
    /// The numbers here of the versions sent, in order.
    pub numbers: Vec<i32>,
    /// How many of them were created.
    pub created_versions: usize,
    /// Whether the active pointer was moved.
    pub activated: bool,
    /// Labels that were set or moved, by name.
    pub labels_set: Vec<String>,
    /// The project's revision after the write; in a dry run the present one.
    pub revision: i64,
}
