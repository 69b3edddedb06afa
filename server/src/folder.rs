//! Moves executions into the rollups that figures are read from, some time after they were recorded. Every server does; the
//! store lets one at a time.

use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_domain::Result;
use prompt_ledger_store::{Analytics, Pace};
use tokio_util::sync::CancellationToken;

/// How often.
const INTERVAL: Duration = Duration::from_secs(10);

/// Folds until `stop`.
pub async fn run(store: Arc<dyn Analytics>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Some(Err(error)) = stop.run_until_cancelled(fold(&*store)).await {
            tracing::warn!(%error, "executions could not be added up; figures are read from the executions meanwhile");
        }
    }
}

/// Moves all that there is to move.
async fn fold(store: &dyn Analytics) -> Result<()> {
    while store.fold(Pace::default()).await? {}
    Ok(())
}
