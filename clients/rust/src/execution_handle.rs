use std::fmt;
use std::time::Duration;

use prompt_ledger_proto::v1;
use tonic::Code;

use crate::calls::{Repeat, asked};
use crate::client::Client;
use crate::error::WatchError;
use crate::ledger_error::LedgerError;
use crate::update::Update;
use crate::watch::Updates;

/// An execution that was submitted, or that is known by its id. Dropping it ends nothing.
#[derive(Clone)]
pub struct ExecutionHandle {
    client: Client,
    id: String,
    /// Absent where it is known by its id.
    submission: Option<Box<v1::SubmitExecutionResponse>>,
}

impl ExecutionHandle {
    pub(crate) fn submitted(client: Client, answer: v1::SubmitExecutionResponse) -> Self {
        Self { client, id: answer.execution_id.clone(), submission: Some(Box::new(answer)) }
    }

    pub(crate) fn known(client: Client, id: String) -> Self {
        Self { client, id, submission: None }
    }

    /// The execution's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The status when it was submitted; `Unspecified` where it is known by its id.
    #[must_use]
    pub fn submitted_status(&self) -> v1::ExecutionStatus {
        self.submission().map(v1::SubmitExecutionResponse::status).unwrap_or_default()
    }

    /// The idempotency key had begun it before.
    #[must_use]
    pub fn reused(&self) -> bool {
        self.submission().is_some_and(|answer| answer.reused)
    }

    /// What the server answered when it was submitted; absent where it is known by its id.
    #[must_use]
    pub fn submission(&self) -> Option<&v1::SubmitExecutionResponse> {
        self.submission.as_deref()
    }

    /// Watches it from its first state to its end.
    #[must_use]
    pub fn watch(&self) -> Updates {
        self.client.watch(&*self.id)
    }

    /// Waits for its end, by watching it; for so long at most where that is given. A failed execution is no error here.
    ///
    /// # Errors
    ///
    /// [`WatchError::TimedOut`], or what ends a watch.
    pub async fn result(&self, timeout: Option<Duration>) -> Result<v1::Execution, WatchError> {
        let ended = async {
            let mut watch = self.watch();
            while let Some(update) = watch.next().await {
                if let Update::Ended(execution) = update? {
                    return Ok(*execution);
                }
            }
            Err(WatchError::Unreadable)
        };
        match timeout {
            None => ended.await,
            Some(limit) => tokio::time::timeout(limit, ended).await.unwrap_or(Err(WatchError::TimedOut(limit))),
        }
    }

    /// The execution as it is now.
    ///
    /// # Errors
    ///
    /// `EXECUTION_NOT_FOUND`, or that the server cannot be reached.
    pub async fn get(&self) -> Result<v1::Execution, LedgerError> {
        let request = v1::GetExecutionRequest { execution_id: self.id.clone(), ..Default::default() };
        let limit = self.client.timeout();
        let answer = asked!(self.client, executions.get_execution, request, limit, Repeat::Freely).await?;
        known(answer.execution)
    }

    /// Cancels it, for a reason that is kept with it.
    ///
    /// # Errors
    ///
    /// `EXECUTION_FINISHED` where it had ended, or that the server cannot be reached.
    pub async fn cancel(&self, reason: impl Into<String>) -> Result<v1::Execution, LedgerError> {
        let request = v1::CancelExecutionRequest { execution_id: self.id.clone(), reason: reason.into() };
        let limit = self.client.timeout();
        let answer = asked!(self.client, executions.cancel_execution, request, limit, Repeat::Freely).await?;
        known(answer.execution)
    }
}

fn known(execution: Option<v1::Execution>) -> Result<v1::Execution, LedgerError> {
    execution.ok_or_else(|| LedgerError::local(Code::Internal, "the answer holds no execution"))
}

impl fmt::Debug for ExecutionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutionHandle").field("id", &self.id).finish_non_exhaustive()
    }
}
