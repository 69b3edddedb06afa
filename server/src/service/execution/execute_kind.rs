//! The ways to execute, and the context of an inline call.

use std::net::SocketAddr;

use prompt_ledger_domain::execution::ExecutionMode;
use prompt_ledger_domain::mode::Operation;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

#[derive(Clone, Debug, Default)]
pub struct CallContext {
    /// When the provider call is stopped, early enough that its end is still written and answered; absent without a
    /// deadline.
    pub deadline: Option<Instant>,
    /// Fires when the caller hangs up.
    pub hung_up: CancellationToken,
    /// The peer's address, which identifies the connection; absent where it is unknown.
    pub connection: Option<SocketAddr>,
}

#[derive(Clone, Copy)]
pub(super) enum ExecuteKind<'a> {
    /// Run within the call.
    Run(&'a CallContext),
    /// Run within the call, which watches it from its first event.
    Stream(&'a CallContext),
    /// Queued for a worker.
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
