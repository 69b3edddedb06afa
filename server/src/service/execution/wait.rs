//! Waits for the end of an execution.

use std::sync::Arc;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::execution::Execution;
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use tokio::time::Instant;

use super::ExecutionService;

impl ExecutionService {
    /// The execution once it has ended; absent where `until` comes or a drain begins before. EXECUTION_NOT_FOUND.
    pub async fn wait_for_end(
        &self,
        project: ProjectId,
        id: ExecutionId,
        until: Instant,
    ) -> Result<Option<Arc<Execution>>> {
        tokio::select! {
            ended = self.hub.end_of(project, id) => ended.map(Some),
            () = tokio::time::sleep_until(until) => Ok(None),
            () = self.draining.cancelled() => Ok(None),
        }
    }
}
