//! How an execution is asked for, and what the call that asks waits for.

use std::net::SocketAddr;

use prompt_ledger_domain::execution::ExecutionMode;
use prompt_ledger_domain::mode::Operation;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What an inline call waits for.
#[derive(Clone, Debug, Default)]
pub struct CallContext {
    /// When the caller must have its answer.
    pub deadline: Option<Instant>,
    /// Fires when the caller hung up.
    pub hung_up: CancellationToken,
    /// What the call came over.
    pub connection: Option<SocketAddr>,
}

/// How an execution is asked for.
#[derive(Clone, Copy)]
pub(super) enum ExecuteKind<'a> {
    /// Run within the call.
    Run(&'a CallContext),
    /// Run within the call, and watched from the beginning.
    Stream(&'a CallContext),
    /// Put into the queue.
    Submit,
}

impl ExecuteKind<'_> {
    pub(super) fn mode(self) -> ExecutionMode {
        match self {
            Self::Run(_) | Self::Stream(_) => ExecutionMode::Sync,
            Self::Submit => ExecutionMode::Async,
        }
    }

    pub(super) fn operation(self) -> Operation {
        match self {
            Self::Run(_) => Operation::Run,
            Self::Stream(_) => Operation::Stream,
            Self::Submit => Operation::Submit,
        }
    }
}
