//! What Prompt Ledger remembers. Traits say what is meant, never how it is stored, each for those who use it; a database behind them is a
//! crate of its own (`prompt-ledger-store-postgres`, `prompt-ledger-store-sqlite`). SQL and transactions never leave those.
//!
//! Every write is durable when its future answers. Errors are the domain's: what a rule refuses has its own reason, a
//! database that does not answer is STORE_UNAVAILABLE, anything else INTERNAL with its cause.
//!
//! Beside the traits, what every database decides and reads the same way, for the databases alone: [`plan`] (what a registry
//! write comes to), [`expiry`] (what becomes of an execution whose lease or life is over), [`rollup`] (which rollups answer
//! for a span of time), [`rows`] (rows to records), [`parameters`] (statements
//! whose parameters have names), [`migrations`], [`seed`], [`failure`].
#![warn(missing_docs)]

mod access;
mod analytics;
mod code;
mod executions;
pub mod expiry;
pub mod failure;
mod maintenance;
pub mod migrations;
mod models;
pub mod parameters;
pub mod plan;
mod registry;
pub mod rollup;
pub mod rows;
pub mod seed;

pub use access::{Access, ApiKey, NewApiKey, Project};
pub use analytics::{Analytics, PromptCounts, Split, UsageFilter, UsageKey, UsageRow};
pub use code::{CodePrompt, RegisterCode, Registered, RegisteredPrompt};
pub use prompt_ledger_domain::execution::Event;

pub use executions::{
    CAPABILITY, Canceling, Change, Claimed, Ended, EventLog, ExecutionFilter, ExecutionKey, ExecutionReader,
    ExecutionWriter, Fence, Finish, Held, Holder, KeyHolder, Leases, NewExecution, Recorded, Requeue,
};
pub use maintenance::{Maintenance, RollupPolicy};
pub use migrations::MigrationStatus;
pub use models::{Models, NewPrice, PutModel};
pub use registry::{
    ChangeRequest, Changed, PromptChange, PromptFilter, PromptWithActive, PutPrompt, PutResult, Registry,
    ResolvedVersion, Revisions,
};

/// Everything that a database does for the ledger.
#[async_trait::async_trait]
pub trait Store: Registry + Models + Access + ExecutionWriter + EventLog + Analytics + Maintenance {
    /// Commits what was asked for, and lets the database go. Later calls are STORE_UNAVAILABLE.
    async fn close(&self);
}
