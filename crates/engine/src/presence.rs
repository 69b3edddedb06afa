//! Tells the other processes that this one runs, and which provider instances it can call.

use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_domain::cause::chain;
use prompt_ledger_store::{ProcessRecord, Processes};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often a process tells.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long the last word may take: a drain waits for it.
const LEAVING: Duration = Duration::from_secs(1);

pub struct Presence {
    pub store: Arc<dyn Processes>,
    pub process: ProcessRecord,
}

impl Presence {
    /// Tells once. A failure is logged: the next time comes within ten seconds.
    pub async fn announce(&self) {
        if let Err(error) = self.store.announce(&self.process).await {
            tracing::warn!(cause = chain(&error), "the other processes were not told that this one runs");
        }
    }

    /// Tells every ten seconds until `stop`, the first time after ten, and then that this process takes no more.
    pub async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + INTERVAL, INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            // Not given up half way: it could be written after what follows.
            self.announce().await;
        }
        // Otherwise it counts as running for a while longer.
        match tokio::time::timeout(LEAVING, self.store.leave(&self.process.id)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the other processes were not told that this one ends"),
            Err(_) => tracing::debug!("the other processes were not told in time that this one ends"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use prompt_ledger_domain::Result;
    use prompt_ledger_store::{ProcessKind, SeenProcess};

    use super::*;

    /// Records what is told.
    #[derive(Default)]
    struct Told(Mutex<Vec<&'static str>>);

    #[async_trait]
    impl Processes for Told {
        async fn announce(&self, _: &ProcessRecord) -> Result<()> {
            self.0.lock().unwrap().push("runs");
            Ok(())
        }

        async fn leave(&self, _: &str) -> Result<()> {
            self.0.lock().unwrap().push("ended");
            Ok(())
        }

        async fn processes(&self) -> Result<Vec<SeenProcess>> {
            panic!("nobody asks")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_tells_as_long_as_it_runs_and_that_it_ends() {
        let (told, stop) = (Arc::new(Told::default()), CancellationToken::new());
        let process = ProcessRecord {
            id: "w".into(),
            kind: ProcessKind::Worker,
            providers: std::collections::BTreeMap::default(),
            release: "1".into(),
        };
        let presence = Presence { store: told.clone(), process };
        presence.announce().await;
        let running = presence.run(stop.clone());
        let asked = async {
            tokio::time::sleep(INTERVAL * 3 + INTERVAL / 2).await;
            stop.cancel();
        };
        tokio::join!(running, asked);
        assert_eq!(*told.0.lock().unwrap(), ["runs", "runs", "runs", "runs", "ended"]);
    }
}
