//! How prompts are managed, and what callers do with them.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::words::words;

words!(Mode);

/// Where a prompt's template lives, and so which write path it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// In the ledger, edited through RegistryService.
    Full,
    /// In application code, registered through CodeRegistrationService.
    Tracking,
}

/// What a caller does with a prompt. Which call does it depends on the prompt's mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Writes a version.
    Write,
    /// Runs an execution within the call.
    Run,
    /// Runs an execution within the call, and watches it.
    Stream,
    /// Puts an execution into the queue.
    Submit,
}
