//! Writes to the registry. Each locks the project's row, then reads, plans and saves, so that revisions and version
//! numbers are consecutive under concurrency. A write that would change nothing takes no lock.

use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::{Error, Result, Timestamp};
use prompt_ledger_store::plan::Plan;
use sqlx::PgConnection;

use super::project_lock::Made;
use super::{Postgres, error, row, save};

/// FOR NO KEY UPDATE, because FOR UPDATE would block every insert that references the row.
const LOCK: &str = "SELECT clock_timestamp() AS now FROM projects WHERE id = $1 FOR NO KEY UPDATE";

pub(super) trait PgRegistryWrite: Sync {
    type Answer: Send;

    /// Reads the present state and plans the write.
    fn plan(
        &self,
        connection: &mut PgConnection,
        project: ProjectId,
        now: Timestamp,
    ) -> impl Future<Output = Result<Plan<Self::Answer>>> + Send;
}

impl Postgres {
    /// Plans a write, and executes it under the project's lock unless there is nothing to do.
    pub(super) async fn write_registry<W: PgRegistryWrite>(&self, project: ProjectId, write: &W) -> Result<W::Answer> {
        let (find_idle, make) = (|| self.idle(project, write), || self.make(project, write));
        self.project_locks.write(&self.calls, project, find_idle, make).await
    }

    /// The result where there is nothing to write. It contains no time of this write, so the time passed to the plan is
    /// irrelevant.
    async fn idle<W: PgRegistryWrite>(&self, project: ProjectId, write: &W) -> Result<Option<W::Answer>> {
        let mut connection = error::again(|| self.calls.acquire()).await?;
        let plan = write.plan(&mut connection, project, Timestamp(0)).await?;
        Ok(plan.is_idle().then_some(plan.answer))
    }

    /// Writes without committing.
    async fn make<W: PgRegistryWrite>(&self, project: ProjectId, write: &W) -> Result<(W::Answer, Made)> {
        let mut transaction = error::again(|| self.calls.begin()).await?;
        let locked = sqlx::query(LOCK).bind(project.0).fetch_optional(&mut *transaction).await.map_err(error::store)?;
        let now = row::value(&locked.ok_or_else(|| no_project(project))?, "now")?;
        let plan = write.plan(&mut transaction, project, now).await?;
        save::prompts(&mut transaction, project, &plan.prompts).await?;
        save::added(&mut transaction, &plan.added).await?;
        save::statuses(&mut transaction, &plan.statuses).await?;
        Ok((plan.answer, transaction))
    }
}

pub(super) fn no_project(project: ProjectId) -> Error {
    Error::new(Reason::ProjectNotFound, format!("there is no project {project}"))
}
