//! Moves executions into the rollups that figures are read from, some time after they were recorded. Every server does; the
//! store lets one at a time.

use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_domain::Result;
use prompt_ledger_store::{Analytics, RollupPolicy};
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
    while store.roll_up(RollupPolicy::default()).await? {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;

    use prompt_ledger_domain::Error;
    use prompt_ledger_domain::ids::ProjectId;
    use prompt_ledger_store::{PromptCounts, Split, UsageFilter, UsageKey, UsageRow};
    use tokio::sync::mpsc;
    use tokio::time::Instant;

    use super::*;

    /// A store whose steps come to this, one after the other, and that tells when each was asked for.
    struct Steps(Mutex<Vec<Result<bool>>>, mpsc::UnboundedSender<u64>, Instant);

    #[tonic::async_trait]
    impl Analytics for Steps {
        async fn overview(&self, _: ProjectId, _: &UsageFilter) -> Result<(PromptCounts, Vec<UsageRow>)> {
            panic!("nobody asks")
        }

        async fn usage(
            &self,
            _: ProjectId,
            _: &UsageFilter,
            _: Split,
            _: Option<&UsageKey>,
            _: usize,
        ) -> Result<Vec<UsageRow>> {
            panic!("nobody asks")
        }

        async fn version_counts(&self, _: ProjectId, _: &str, _: i32, _: usize) -> Result<HashMap<i32, i64>> {
            panic!("nobody asks")
        }

        async fn roll_up(&self, _: RollupPolicy) -> Result<bool> {
            self.1.send(self.2.elapsed().as_secs()).unwrap();
            self.0.lock().unwrap().pop().unwrap_or(Ok(false))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_folds_while_there_is_more_and_again_after_a_failure_until_it_stops() {
        let (asked, mut heard) = mpsc::unbounded_channel();
        let steps = vec![Err(Error::internal("no")), Ok(true), Ok(true)];
        let store = Arc::new(Steps(Mutex::new(steps), asked, Instant::now()));
        let stop = CancellationToken::new();
        let running = tokio::spawn(run(store, stop.clone()));
        let mut times = Vec::new();
        for _ in 0..5 {
            times.push(heard.recv().await.unwrap());
        }
        assert_eq!(times, [0, 0, 0, 10, 20]);
        stop.cancel();
        running.await.unwrap();
        assert!(heard.recv().await.is_none());
    }
}
