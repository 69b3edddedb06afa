//! What Prompt Ledger remembers. Five small traits say what is meant, never how it is stored; behind them stand the
//! databases. SQL and transactions never leave this crate.
//!
//! Every write is durable when its future answers. Errors are the domain's: what a rule refuses has its own reason, a
//! database that does not answer is STORE_UNAVAILABLE, anything else INTERNAL with its cause.

mod access;
mod analytics;
mod code;
mod executions;
mod expiry;
mod failure;
mod migrations;
mod models;
mod plan;
pub mod postgres;
mod registry;
mod rollup;
mod rows;
mod seed;
pub mod sqlite;

pub use access::{Access, ApiKey, NewApiKey, Project};
pub use analytics::{Analytics, Pace, PromptCounts, Split, UsageFilter, UsageKey, UsageRow};
pub use code::{CodePrompt, RegisterCode, Registered, RegisteredPrompt};
pub use prompt_ledger_domain::execution::Event;

pub use executions::{
    Canceling, Change, Claimed, Ended, ExecutionFilter, ExecutionKey, Executions, Fence, Finish, Held, Holder,
    KeyHolder, NewExecution, Recorded, Requeue,
};
pub use migrations::MigrationStatus;
pub use models::{Models, NewPrice, PutModel};
pub use registry::{
    Changed, PromptFilter, PromptWithActive, PutPrompt, PutResult, Registry, ResolvedVersion, Revisions,
};

/// Everything that a database does for the ledger.
#[async_trait::async_trait]
pub trait Store: Registry + Models + Access + Executions + Analytics {
    /// Commits what was asked for, and lets the database go. Later calls are STORE_UNAVAILABLE.
    async fn close(&self);

    /// Fails with STORE_UNAVAILABLE unless the database would take a write now: it is asked over a connection of its own,
    /// and the latest writes of this process count. Writes nothing. Called on one thread alone, as is
    /// [`Executions::extend`].
    async fn check_writable(&self) -> prompt_ledger_domain::Result<()>;
}
