//! Moves executions into the rollups that figures are read from, some time after they were recorded. Every server runs
//! this; the store lets one at a time.

use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::cause::chain;
use prompt_ledger_observe::serving;
use prompt_ledger_store::{Maintenance, RollupPolicy};
use tokio_util::sync::CancellationToken;

/// The time between two runs.
const ROLLUP_INTERVAL: Duration = Duration::from_secs(10);

/// Runs until `stop`. A failure is logged, and retried by the next run.
pub async fn run(store: Arc<dyn Maintenance>, stop: CancellationToken) {
    serving::rolled_up();
    let mut ticks = tokio::time::interval(ROLLUP_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Some(Err(error)) = stop.run_until_cancelled(roll_up(&*store)).await {
            let cause = chain(&error);
            tracing::warn!(cause, "executions could not be added up; figures are read from the executions meanwhile");
        }
    }
}

async fn roll_up(store: &dyn Maintenance) -> Result<()> {
    while store.roll_up(RollupPolicy::default()).await? {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use prompt_ledger_domain::Error;
    use prompt_ledger_store::Change;
    use tokio::sync::mpsc;
    use tokio::time::Instant;

    use super::*;

    /// A store whose `roll_up` returns these results, last first, and sends the second of each call.
    struct Steps(Mutex<Vec<Result<bool>>>, mpsc::UnboundedSender<u64>, Instant);

    #[tonic::async_trait]
    impl Maintenance for Steps {
        async fn expire(&self, _: Duration) -> Result<Vec<Change>> {
            panic!("nobody asks")
        }

        async fn forget_processes(&self) -> Result<()> {
            panic!("nobody asks")
        }

        async fn ping(&self) -> Result<()> {
            panic!("nobody asks")
        }

        async fn check_writable(&self) -> Result<()> {
            panic!("nobody asks")
        }

        async fn roll_up(&self, _: RollupPolicy) -> Result<bool> {
            self.1.send(self.2.elapsed().as_secs()).unwrap();
            self.0.lock().unwrap().pop().unwrap_or(Ok(false))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_while_there_is_more_and_again_after_a_failure_until_it_stops() {
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
