//! Cancellation requests. Requesting twice changes nothing, so a lost response is handled by repeating.

use std::sync::LazyLock;

use prompt_ledger_domain::execution::{Event, Execution, Status};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Error, Result};
use prompt_ledger_store::parameters::numbered;

use super::batch::patiently;
use super::cost::{OF_EXECUTION, with_cost};
use super::kept::KeptConnections;
use super::lease::FenceRows;
use super::statement::{clean, parameters, statement};
use super::watched_pool::WatchedPool;
use super::{error, lease, read};
use prompt_ledger_store::rows::execution::maybe_event;
use prompt_ledger_store::{Canceling, Fence};

/// Cancels a queued execution and returns its event; sets the cancellation request of a running one that has none yet.
pub(super) static CANCEL: LazyLock<String> = LazyLock::new(|| {
    numbered(&with_cost(include_str!("sql/cancel.sql"), "e.price_id", OF_EXECUTION), CancelParameters::NAMES)
});

parameters! {
    CancelParameters(project: ProjectId, id: ExecutionId, reason: &str) {
        id = id.0,
        project_id = project.0,
        reason = clean(reason),
    }
}

pub(super) static CANCELED_OF: LazyLock<String> = LazyLock::new(|| {
    let sql = include_str!("sql/canceled_of.sql");
    statement(sql, FenceRows::COLUMNS, &[])
});

pub(super) async fn cancel(
    writes: &KeptConnections,
    calls: &WatchedPool,
    project: ProjectId,
    id: ExecutionId,
    reason: &str,
) -> Result<Canceling> {
    let event = patiently(|_| ask(writes, project, id, reason)).await?;
    // Repeated by itself: the event of a request is returned once.
    let execution = patiently(|_| read::get(calls, project, id)).await?;
    answer(id, execution, event)
}

fn answer(id: ExecutionId, execution: Execution, event: Option<Event>) -> Result<Canceling> {
    match execution.status {
        Status::Succeeded | Status::Failed => Err(Error::execution_finished(id, execution.status)),
        Status::Queued | Status::Running | Status::Canceled => Ok(Canceling { execution, event }),
    }
}

async fn ask(pool: &KeptConnections, project: ProjectId, id: ExecutionId, reason: &str) -> Result<Option<Event>> {
    let query = CancelParameters::query(&CANCEL, project, id, reason);
    let rows = pool.fetch_all(query).await.map_err(error::store)?;
    rows.first().map_or(Ok(None), maybe_event)
}

/// Those with a cancellation request.
pub(super) async fn canceled_of(pool: &WatchedPool, held: &[Fence]) -> Result<Vec<Fence>> {
    let query = || FenceRows::bind(sqlx::query(CANCELED_OF.as_str()), held).fetch_all(pool);
    error::again(query).await?.iter().map(lease::fence).collect()
}
