//! Prompts and versions.

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::{ProjectId, PromptId, VersionId};
use prompt_ledger_domain::prompt::{Mode, Prompt, Selector, Version, VersionStatus};

use crate::{RegisterCode, Registered};

/// What PutPrompt asks for, checked, the template parsed by the caller.
#[derive(Clone, Debug)]
pub struct PutPrompt {
    /// The prompt's name.
    pub name: String,
    /// The template, byte for byte.
    pub template_source: String,
    /// `versioning::checksum` of it.
    pub checksum_hash: String,
    /// The names that the template reads.
    pub variables: Vec<String>,
    /// Absent keeps, empty clears.
    pub description: Option<String>,
    /// Absent keeps, empty clears.
    pub owner_team: Option<String>,
    /// Absent keeps, empty clears.
    pub tags: Option<Vec<String>>,
    /// Who, as they said: kept with a new version.
    pub created_by: String,
    /// Whether the version that has this content becomes the active one.
    pub set_active: bool,
    /// Fails with PROMPT_EXISTS where the name is taken.
    pub create_only: bool,
    /// Fails with ETAG_MISMATCH where the prompt has another, or does not exist.
    pub etag: Option<String>,
    /// The identity of the prompt, should it be new.
    pub prompt_id: PromptId,
    /// The identity of the version, should it be new.
    pub version_id: VersionId,
}

/// What PutPrompt came to.
#[derive(Clone, Debug, PartialEq)]
pub struct PutResult {
    /// The prompt as it is now.
    pub prompt: Prompt,
    /// The version that has the content.
    pub version: Version,
    /// Whether the call created that version.
    pub version_change: bool,
    /// Whether the call moved the active pointer.
    pub activated: bool,
    /// The project's revision now.
    pub revision: i64,
}

/// A prompt and its active version.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptWithActive {
    /// The prompt.
    pub prompt: Prompt,
    /// Absent while none is active.
    pub active: Option<Version>,
    /// The project's revision that both were read at.
    pub revision: i64,
}

/// A prompt and the version that a selector names.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedVersion {
    /// The prompt.
    pub prompt: Prompt,
    /// The version.
    pub version: Version,
    /// The project's revision that both were read at.
    pub revision: i64,
}

/// A change of a prompt that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptChange {
    /// Moves the active pointer to the version of this number, forward or back; the version becomes `active`. Full mode
    /// only, not archived.
    Activate(i32),
    /// Sets the status of the version of this number by `versioning::set_status`. Full mode only, not archived.
    SetStatus(i32, VersionStatus),
    /// Archives it, in either mode.
    Archive,
    /// Brings it back.
    Unarchive,
    /// Moves it to this mode by `versioning::migrates`, with all its versions; not archived.
    Migrate(Mode),
}

impl PromptChange {
    /// Which of the prompt's versions decides about the change.
    #[must_use]
    pub fn selector(self) -> Selector {
        match self {
            Self::Activate(number) | Self::SetStatus(number, _) => Selector::Number(number),
            Self::Archive | Self::Unarchive | Self::Migrate(_) => Selector::Active,
        }
    }
}

/// A change, with the prompt that it is asked of.
#[derive(Clone, Debug)]
pub struct ChangeRequest {
    /// The prompt's name.
    pub name: String,
    /// The etag that the prompt must have; absent for any.
    pub etag: Option<String>,
    /// What to change.
    pub change: PromptChange,
}

/// A prompt after a write to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The prompt as it is now.
    pub prompt: Prompt,
    /// The version that the write was about; absent where it was about the prompt alone.
    pub version: Option<Version>,
    /// The project's revision now.
    pub revision: i64,
}

/// Which prompts a list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptFilter {
    /// Of this mode only.
    pub mode: Option<Mode>,
    /// Of this team only; empty for all.
    pub owner_team: String,
    /// Names that start with this; empty for all.
    pub name_prefix: String,
    /// Archived ones too.
    pub include_archived: bool,
}

/// How often what caches hold was written so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revisions {
    /// Keys and projects.
    pub keys: i64,
    /// Models and prices.
    pub models: i64,
    /// The registry of each project that was asked for.
    pub projects: Vec<(ProjectId, i64)>,
}

/// Prompts and versions. Numbers of a prompt's versions are consecutive, also under concurrent writers; every write to
/// a prompt takes the project's next revision, in the same transaction. A name that does not exist in the project is
/// PROMPT_NOT_FOUND.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Registers a content under a name. A write that would change nothing writes nothing and keeps the
    /// etag. MODE_MISMATCH for a tracking-mode prompt is checked first, then PROMPT_EXISTS, PROMPT_ARCHIVED, the etag.
    async fn put_prompt(&self, project: ProjectId, put: PutPrompt) -> Result<PutResult>;

    /// Registers a batch of contents that code carries, all or none: each is compared with the prompt's active
    /// version, and every prompt that changes takes a revision of its own. MODE_MISMATCH for any full-mode prompt is
    /// checked first, then PROMPT_ARCHIVED. What would change nothing takes no lock and writes nothing.
    async fn register_code(&self, project: ProjectId, code: RegisterCode) -> Result<Registered>;

    /// The modes of those of these prompts that exist, in no order.
    async fn modes(&self, project: ProjectId, names: &[&str]) -> Result<Vec<(String, Mode)>>;

    /// The prompt of that name, archived or not.
    async fn prompt(&self, project: ProjectId, name: &str) -> Result<PromptWithActive>;

    /// Up to `limit` prompts with names after `after`, by name.
    async fn prompts(
        &self,
        project: ProjectId,
        filter: &PromptFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<PromptWithActive>, i64)>;

    /// The version that the selector names, of a prompt archived or not: `Error::version_not_found` where there is none.
    async fn version(&self, project: ProjectId, name: &str, selector: &Selector) -> Result<ResolvedVersion>;

    /// Up to `limit` versions with numbers below `before`, newest first, and the project's revision.
    async fn versions(
        &self,
        project: ProjectId,
        name: &str,
        before: Option<i32>,
        limit: usize,
    ) -> Result<(Vec<Version>, i64)>;

    /// Changes a prompt that exists, in the mode that the change is for. What is so already changes nothing.
    async fn change_prompt(
        &self,
        project: ProjectId,
        name: &str,
        etag: Option<&str>,
        change: PromptChange,
    ) -> Result<Changed>;

    /// The present revisions of keys, of models, and of these projects.
    async fn revisions(&self, projects: &[ProjectId]) -> Result<Revisions>;
}
