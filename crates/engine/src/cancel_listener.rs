//! Delivers cancellation requests to the leases that this process holds: from announcements at once, and, since these
//! may be lost, by one poll of the store per second for all held leases.

use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_domain::cause::chain;
use prompt_ledger_queue::{Announcement, Heard, Listener};
use prompt_ledger_store::Leases;
use tokio_util::sync::CancellationToken;

use crate::Heartbeat;

/// Bounds the delay of a cancellation whose announcement was lost; also the timeout of one poll.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Aborts the calls of executions whose cancellation was requested.
pub struct CancelListener {
    pub store: Arc<dyn Leases>,
    pub heartbeat: Heartbeat,
    pub announced: Listener,
}

/// Polls that failed one after the other.
#[derive(Default)]
struct MissedPolls(u32);

impl MissedPolls {
    /// A warning from the second one on: what one of them missed the next one finds, a second later.
    fn add(&mut self, cause: &str) {
        self.0 += 1;
        if self.0 > 1 {
            tracing::warn!(cause, "cancels could not be looked for");
        }
    }
}

impl CancelListener {
    /// Listens and polls until `stop`. Must run once per process.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut polls = tokio::time::interval(POLL_INTERVAL);
        polls.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut missed = MissedPolls::default();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                heard = self.announced.hear() => match heard {
                    Heard::Announcement(Announcement::Cancel { execution_id }) => self.heartbeat.cancel(execution_id),
                    Heard::Announcement(_) => {}
                    Heard::Missed => self.poll(&mut missed).await,
                },
                _ = polls.tick() => self.poll(&mut missed).await,
            }
        }
    }

    async fn poll(&self, missed: &mut MissedPolls) {
        let held = self.heartbeat.held();
        if held.is_empty() {
            return;
        }
        match tokio::time::timeout(POLL_INTERVAL, self.store.canceled_of(&held)).await {
            Ok(Ok(canceled)) => {
                *missed = MissedPolls::default();
                canceled.iter().for_each(|fence| self.heartbeat.cancel(fence.id));
            }
            Ok(Err(error)) => missed.add(&chain(&error)),
            Err(_) => missed.add("no answer in time"),
        }
    }
}
