use clap::ValueEnum;
use prompt_ledger_client::v1;

/// Where an execution stands.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum StatusArg {
    /// It waits for a worker
    Queued,
    /// The model is called
    Running,
    /// The model answered
    Succeeded,
    /// It ended without an answer
    Failed,
    /// It was canceled
    Canceled,
}

impl StatusArg {
    pub(crate) fn in_the_contract(self) -> v1::ExecutionStatus {
        match self {
            Self::Queued => v1::ExecutionStatus::Queued,
            Self::Running => v1::ExecutionStatus::Running,
            Self::Succeeded => v1::ExecutionStatus::Succeeded,
            Self::Failed => v1::ExecutionStatus::Failed,
            Self::Canceled => v1::ExecutionStatus::Canceled,
        }
    }
}
