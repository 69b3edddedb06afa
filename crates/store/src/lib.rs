//! The storage interface of Prompt Ledger: one trait per group of callers, in terms of the domain, without SQL or
//! transactions. Each database implements them in a crate of its own (`prompt-ledger-store-postgres`,
//! `prompt-ledger-store-sqlite`).
//!
//! A write is durable when its future completes. Errors are the domain's: a refusal by a rule has its own reason, a
//! database that does not answer is STORE_UNAVAILABLE, anything else is INTERNAL with its cause.
//!
//! Besides the traits, this crate holds what the database crates share: [`plan`] (decides what a registry write
//! changes), [`expiry`] (decides what happens to an execution whose lease or `expire_after` has passed), [`rollup`]
//! (selects the rollups that cover a time span), [`rows`] (converts rows to records), [`mod@parameters`] (named SQL
//! parameters), [`migrations`], [`seed`], [`failure`].
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
mod processes;
mod registry;
mod registry_feed;
pub mod rollup;
pub mod rows;
pub mod seed;
mod transfer;
mod walk;

pub use access::{Access, ApiKey, NewApiKey, Project};
pub use analytics::{Analytics, PromptCounts, Split, UsageFilter, UsageKey, UsageRow};
pub use code::{CodePrompt, RegisterCode, Registered, RegisteredPrompt};
pub use prompt_ledger_domain::execution::Event;

pub use executions::{
    CAPABILITY, Canceling, Change, Claimed, Ended, EventLog, ExecutionFilter, ExecutionKey, ExecutionReader,
    ExecutionWriter, Fence, Finish, Held, Holder, KeyHolder, Leases, ListPosition, NewExecution, QueueDepth, Recorded,
    Requeue, Subject, needs,
};
pub use maintenance::{Maintenance, RollupPolicy};
pub use migrations::MigrationStatus;
pub use models::{Models, NewPrice, PutModel};
pub use processes::{KNOWN_FOR, LIVE_FOR, ProcessKind, ProcessRecord, Processes, SUPERSEDED_FOR, SeenProcess};
pub use registry::{
    ChangeRequest, Changed, PromptChange, PromptFilter, PromptWithActive, PutPrompt, PutResult, Registry,
    ResolvedVersion, Revisions,
};
pub use registry_feed::{ChangedPrompt, RegistryFeed};
pub use transfer::{ImportLabel, ImportPrompt, ImportVersion, Imported};
pub use walk::{Walked, rows_walked};

/// All traits together: what a database crate implements.
#[async_trait::async_trait]
pub trait Store:
    Registry + RegistryFeed + Models + Access + ExecutionWriter + EventLog + Analytics + Maintenance + Processes
{
    /// Waits for the writes that were accepted, then closes all connections. Later calls fail with STORE_UNAVAILABLE.
    async fn close(&self);
}
