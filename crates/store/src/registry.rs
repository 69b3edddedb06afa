//! Prompts and versions.

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::ids::{ProjectId, PromptId, VersionId};
use prompt_ledger_domain::prompt::{Mode, Prompt, Selector, Version, VersionStatus};
use prompt_ledger_domain::prompt_log::{AskingKey, ChangeEntry, ChangeKind};

use crate::{ImportPrompt, Imported, RegisterCode, Registered, Walked};

/// A PutPrompt request whose fields were checked and whose template was parsed by the caller.
#[derive(Clone, Debug)]
pub struct PutPrompt {
    /// Name of the prompt, unique within the project.
    pub name: String,
    /// What the version is to hold; it passed `VersionContent::check`.
    pub content: VersionContent,
    /// `VersionContent::checksum` of the content.
    pub checksum_hash: String,
    /// Names that the template reads, placeholders among them; at most `limits::VARIABLES`.
    pub variables: Vec<String>,
    /// Absent keeps the present one, empty clears it.
    pub description: Option<String>,
    /// Absent keeps the present one, empty clears it.
    pub owner_team: Option<String>,
    /// Absent keeps the present ones, an empty list clears them.
    pub tags: Option<Vec<String>>,
    /// Author as stated by the caller, not verified; stored with a new version only.
    pub created_by: String,
    /// Why the version is; stored with a new version only.
    pub note: String,
    /// Whether the version with this content becomes the active one.
    pub set_active: bool,
    /// Labels to point at the version with this content; they passed `label::check_names`.
    pub labels: Vec<String>,
    /// Fail with PROMPT_EXISTS where the name is taken.
    pub create_only: bool,
    /// Fail with ETAG_MISMATCH where the prompt has another etag or does not exist; absent for no check.
    pub etag: Option<String>,
    /// Id for the prompt if the write creates it.
    pub prompt_id: PromptId,
    /// Id for the version if the write creates it.
    pub version_id: VersionId,
    /// The key that asked, for the change log.
    pub key: AskingKey,
}

/// Result of [`Registry::put_prompt`].
#[derive(Clone, Debug, PartialEq)]
pub struct PutResult {
    /// The prompt after the write.
    pub prompt: Prompt,
    /// The version that has the content.
    pub version: Version,
    /// Whether the call created that version.
    pub version_change: bool,
    /// Whether the call changed the active version.
    pub activated: bool,
    /// Number of the version that was active before; absent where none was.
    pub previous_version: Option<i32>,
    /// The project's revision after the write.
    pub revision: i64,
}

/// A prompt and its active version, read in one snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptWithActive {
    /// The prompt, archived or not.
    pub prompt: Prompt,
    /// The active version; absent where none is active.
    pub active: Option<Version>,
    /// The project's revision in that snapshot.
    pub revision: i64,
}

/// A prompt and the version that a selector names, read in one snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedVersion {
    /// The prompt, archived or not.
    pub prompt: Prompt,
    /// The version that the selector names, whatever its status.
    pub version: Version,
    /// The project's revision in that snapshot.
    pub revision: i64,
}

/// A change of an existing prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PromptChange {
    /// Makes the version with this number the active one, forward or back, and sets its status to `active`. Full mode
    /// only; not for archived prompts or opaque versions.
    Activate(i32),
    /// Sets the status of the version with this number, by the rules of `versioning::set_status`. Full mode only; not
    /// for archived prompts.
    SetStatus(i32, VersionStatus),
    /// Points the label at the version with this number, by the rules of `label::set`. Full mode only; not for archived
    /// prompts.
    SetLabel(String, i32),
    /// Removes the label, in either mode; not for archived prompts.
    RemoveLabel(String),
    /// Writes metadata, in either mode: what is absent is kept. Not for archived prompts.
    Describe {
        /// Free text.
        description: Option<String>,
        /// The responsible team.
        owner_team: Option<String>,
        /// Words to find it by.
        tags: Option<Vec<String>>,
    },
    /// Archives the prompt, in either mode.
    Archive,
    /// Reverses [`Self::Archive`].
    Unarchive,
    /// Moves the prompt with all its versions to this mode, by the rules of `versioning::migrates`. Not for archived
    /// prompts.
    Migrate(Mode),
}

impl PromptChange {
    /// The version that has to be read to decide about the change.
    #[must_use]
    pub fn selector(&self) -> Selector {
        match self {
            Self::Activate(number) | Self::SetStatus(number, _) | Self::SetLabel(_, number) => {
                Selector::Number(*number)
            }
            Self::RemoveLabel(_) | Self::Describe { .. } | Self::Archive | Self::Unarchive | Self::Migrate(_) => {
                Selector::Active
            }
        }
    }
}

/// The arguments of [`Registry::change`].
#[derive(Clone, Debug)]
pub struct ChangeRequest {
    /// Name of the prompt.
    pub name: String,
    /// The etag that the prompt must have; absent for no check.
    pub etag: Option<String>,
    /// What to change.
    pub change: PromptChange,
    /// Who changes it, as stated by the caller; empty for nobody.
    pub created_by: String,
    /// The key that asked, for the change log.
    pub key: AskingKey,
}

/// Result of [`Registry::change`].
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The prompt after the write.
    pub prompt: Prompt,
    /// The version that was activated, labelled or whose status was set; absent for the other changes.
    pub version: Option<Version>,
    /// The version that the label pointed at before; absent where it is new, and for changes of another kind.
    pub previous_version: Option<i32>,
    /// The project's revision after the write.
    pub revision: i64,
}

/// Filter of a prompt list; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptFilter {
    /// Management mode; absent for both.
    pub mode: Option<Mode>,
    /// Owning team, matched exactly; empty for all.
    pub owner_team: String,
    /// Prefix of the name, case-sensitive; empty for all.
    pub name_prefix: String,
    /// Whether archived prompts are listed too.
    pub include_archived: bool,
    /// One of its tags, matched exactly; empty for all.
    pub tag: String,
    /// Words that its name or its description holds; none for all. The letters A to Z match in either case, all others as
    /// they are: what a database knows of other letters depends on how it was installed.
    pub words: Vec<String>,
    /// One of its own labels; empty for all.
    pub label: String,
}

/// Counters of writes, which caches compare with the values that they were filled at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revisions {
    /// Incremented with each write of an API key or a new project.
    pub keys: i64,
    /// Incremented with each write of a model or a price.
    pub models: i64,
    /// The registry revision of each requested project that exists.
    pub projects: Vec<(ProjectId, i64)>,
}

/// Prompts and versions, and the log of their changes, which each write extends in its transaction. Version numbers of a
/// prompt are consecutive, also under concurrent writes. Every write to a prompt takes the project's next revision in the same transaction. A name unknown to the project is PROMPT_NOT_FOUND.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Registers a content under a name, and creates the prompt where it does not exist. A request that would change
    /// nothing writes nothing and keeps the etag. Checks, in this order: MODE_MISMATCH for a tracking-mode prompt,
    /// PROMPT_EXISTS, PROMPT_ARCHIVED, ETAG_MISMATCH.
    async fn put_prompt(&self, project: ProjectId, put: PutPrompt) -> Result<PutResult>;

    /// Registers a batch of prompts that code carries, all or none. Each content is compared with the prompt's
    /// versions, and every prompt that changes takes a revision of its own. MODE_MISMATCH for any full-mode prompt is
    /// checked first, then PROMPT_ARCHIVED. A batch that changes nothing takes no lock and writes nothing.
    async fn register_code(&self, project: ProjectId, code: RegisterCode) -> Result<Registered>;

    /// Imports a prompt: an absent one becomes a copy; to an existing one the contents that it does not have are appended,
    /// and nothing is moved unasked. MODE_MISMATCH, PROMPT_ARCHIVED, and what a label may not point at.
    async fn import_prompt(&self, project: ProjectId, import: ImportPrompt) -> Result<Imported>;

    /// Names and modes of those of these prompts that exist, in no order.
    async fn modes(&self, project: ProjectId, names: &[&str]) -> Result<Vec<(String, Mode)>>;

    /// The prompt with this name, archived or not, and its active version.
    async fn prompt(&self, project: ProjectId, name: &str) -> Result<PromptWithActive>;

    /// Up to `limit` prompts with names after `after`, in byte order of their names, and the project's revision. Looks at
    /// [`rows_walked`](crate::rows_walked) prompts, whatever the filter.
    async fn prompts(
        &self,
        project: ProjectId,
        filter: &PromptFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Walked<PromptWithActive, String>, i64)>;

    /// The version that the selector names, of a prompt archived or not. `Error::version_not_found` where there is
    /// none.
    async fn version(&self, project: ProjectId, name: &str, selector: &Selector) -> Result<ResolvedVersion>;

    /// Up to `limit` versions with numbers below `before`, newest first, and the project's revision.
    async fn versions(
        &self,
        project: ProjectId,
        name: &str,
        before: Option<i32>,
        limit: usize,
    ) -> Result<(Vec<Version>, i64)>;

    /// Changes an existing prompt. ETAG_MISMATCH where `etag` is given and not the present one; MODE_MISMATCH,
    /// PROMPT_ARCHIVED and others by the kind of change, as [`PromptChange`] says. A change to the state that the
    /// prompt already has writes nothing and keeps the etag.
    async fn change(&self, project: ProjectId, asked: ChangeRequest) -> Result<Changed>;

    /// Up to `limit` entries of the change log, newest first, and the project's revision: of one prompt unless `name` is
    /// empty, of these kinds unless there are none, before an entry's (revision, position). Looks at
    /// [`rows_walked`](crate::rows_walked) entries, whatever the kinds.
    async fn prompt_changes(
        &self,
        project: ProjectId,
        name: &str,
        kinds: &[ChangeKind],
        before: Option<(i64, i32)>,
        limit: usize,
    ) -> Result<(Walked<ChangeEntry, (i64, i32)>, i64)>;

    /// The present revisions of keys, of models, and of these projects.
    async fn revisions(&self, projects: &[ProjectId]) -> Result<Revisions>;
}
