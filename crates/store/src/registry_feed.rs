//! What streams of prompts read: which prompts have changed, and their present state in portions.

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::{ProjectId, PromptId};
use prompt_ledger_domain::prompt::{Prompt, Version};

/// A prompt that was written, without its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedPrompt {
    /// The project's revision that its last write made; no other prompt of the project has it.
    pub revision: i64,
    /// Name of the prompt.
    pub name: String,
}

/// The registry by its revisions. Prompts are never deleted, and each has the revision of its last write: those with a
/// revision above a number are all that changed since the project had that revision.
#[async_trait]
pub trait RegistryFeed: Send + Sync {
    /// The project's present revision; 0 where it does not exist.
    async fn revision(&self, project: ProjectId) -> Result<i64>;

    /// Up to `limit` prompts whose last write made a revision above `after`, lowest first, archived ones too, and the
    /// project's revision in the same snapshot.
    async fn changed_after(&self, project: ProjectId, after: i64, limit: usize) -> Result<(Vec<ChangedPrompt>, i64)>;

    /// Those of these prompts that exist, archived or not, in no order. `names` has each once.
    async fn prompts_named(&self, project: ProjectId, names: &[&str]) -> Result<Vec<Prompt>>;

    /// The versions of these numbers, in no order; numbers that do not exist are left out.
    async fn versions_numbered(&self, of: &[(PromptId, i32)]) -> Result<Vec<Version>>;
}
