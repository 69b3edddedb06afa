//! What Prompt Ledger remembers. Four small traits say what is meant, never how it is stored; behind them stand the
//! databases. SQL and transactions never leave this crate.
//!
//! Every write is durable when its future answers. Errors are the domain's: what a rule refuses has its own reason, a
//! database that does not answer is STORE_UNAVAILABLE, anything else INTERNAL with its cause.

mod access;
mod executions;
mod models;
mod registry;
pub mod sqlite;

pub use access::{Access, ApiKey, NewApiKey, Project};
pub use executions::{
    Ended, Event, ExecutionFilter, ExecutionKey, Executions, Fence, Finish, Held, Holder, KeyHolder, NewExecution,
    Recorded, Retried,
};
pub use models::{Models, NewPrice, PutModel};
pub use registry::{
    Changed, PromptFilter, PromptWithActive, PutPrompt, PutResult, Registry, ResolvedVersion, Revisions,
};
