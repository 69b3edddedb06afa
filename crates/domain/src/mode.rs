//! The modes of a prompt, and the operations that have an RPC per mode.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// Where a prompt's template is maintained, and thus which RPCs write and execute it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// In the ledger: written by RegistryService, executed by ExecutionService.
    Full,
    /// In application code: registered and executed by CodeRegistrationService.
    Tracking,
}

/// What a call does with a prompt. Each mode has an RPC of its own for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Write or register versions.
    Write,
    /// Execute within the call and answer the finished execution.
    Run,
    /// Execute within the call and stream its events and text.
    Stream,
    /// Put an execution into the queue.
    Submit,
}
