//! Brings a request to cancel to the holder: by an announcement, at once; and, where that is lost, by one read of the store a
//! second for everything that this process holds.

use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_queue::{Announcement, Heard, Listener};
use prompt_ledger_store::Leases;
use tokio_util::sync::CancellationToken;

use crate::Heartbeat;

/// How long an announcement may be late before the store is asked.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Aborts canceled calls.
pub struct CancelListener {
    /// Where cancel requests are recorded.
    pub store: Arc<dyn Leases>,
    /// The leases that this process holds.
    pub heartbeat: Heartbeat,
    /// Where cancel requests are announced.
    pub announced: Listener,
}

impl CancelListener {
    /// Listens and polls until `stop`. Runs once per process.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut polls = tokio::time::interval(POLL_INTERVAL);
        polls.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                heard = self.announced.hear() => match heard {
                    Heard::Announcement(Announcement::Cancel { execution_id }) => self.heartbeat.cancel(execution_id),
                    Heard::Announcement(_) => {}
                    Heard::Missed => self.poll().await,
                },
                _ = polls.tick() => self.poll().await,
            }
        }
    }

    async fn poll(&self) {
        let held = self.heartbeat.held();
        if held.is_empty() {
            return;
        }
        match tokio::time::timeout(POLL_INTERVAL, self.store.canceled_of(&held)).await {
            Ok(Ok(canceled)) => canceled.iter().for_each(|fence| self.heartbeat.cancel(fence.id)),
            Ok(Err(error)) => tracing::warn!(%error, "cancels could not be looked for"),
            Err(_) => tracing::warn!("cancels could not be looked for in time"),
        }
    }
}
