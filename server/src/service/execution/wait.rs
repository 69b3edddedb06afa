//! Waits for the end of an execution.

use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use tokio::time::Instant;

use super::ExecutionService;

impl ExecutionService {
    /// Waits until the execution has ended, `until` comes or a drain begins. EXECUTION_NOT_FOUND.
    pub async fn wait_for_end(&self, project: ProjectId, id: ExecutionId, until: Instant) -> Result<()> {
        tokio::select! {
            over = self.hub.over(project, id) => over,
            () = tokio::time::sleep_until(until) => Ok(()),
            () = self.draining.cancelled() => Ok(()),
        }
    }
}
