//! The look at the store that keeps every cache of this node right, and ends the streams of revoked keys. Where this
//! process is the only server, four looks a second are enough, because its own writes empty the caches. Where there are
//! others, a call is answered from a cache only after a look that began when the call had come: calls that come together
//! share one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prompt_ledger_domain::error::{Error, Reason, Result};
use prompt_ledger_store::Registry;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::cache::{Freshness, POLL_INTERVAL};
use super::{Authenticator, ModelService, RegistryService};

/// How long a look may take.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(2);
/// How many calls wait for a look at most.
const WAITING: usize = 16 * 1024;

/// What is kept right.
pub struct Refresh {
    /// Where the revisions are.
    pub store: Arc<dyn Registry>,
    /// Notes that they were seen.
    pub freshness: Arc<Freshness>,
    /// Holds keys and projects.
    pub authenticator: Arc<Authenticator>,
    /// Holds models.
    pub models: Arc<ModelService>,
    /// Holds prompts.
    pub registry: Arc<RegistryService>,
}

/// Asks for a look that begins now.
#[derive(Clone, Debug)]
pub struct Confirm(mpsc::Sender<oneshot::Sender<bool>>);

impl Confirm {
    /// The way to whoever looks, and what that one reads.
    #[must_use]
    pub fn new() -> (Self, ConfirmRequests) {
        let (ask, asked) = mpsc::channel(WAITING);
        (Self(ask), ConfirmRequests(asked))
    }

    /// Waits until everything that was written before this call is known here: STORE_UNAVAILABLE where the store does
    /// not tell.
    pub async fn now(&self) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        let asked = self.0.send(answer).await.is_ok();
        if asked && answered.await.unwrap_or(false) {
            return Ok(());
        }
        let message = "the database does not answer; try again";
        Err(Error::new(Reason::StoreUnavailable, message).retry_after(Duration::from_secs(1)))
    }
}

/// The calls that wait for a look.
#[derive(Debug)]
pub struct ConfirmRequests(mpsc::Receiver<oneshot::Sender<bool>>);

impl Refresh {
    /// Looks four times a second until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.look().await;
        }
    }

    /// Looks whenever someone asks, once for all who had asked by then, and where nobody does four times a second, until
    /// `stop`.
    pub async fn confirm(self, mut asked: ConfirmRequests, stop: CancellationToken) {
        let mut waiting = Vec::new();
        loop {
            let next = tokio::time::timeout(POLL_INTERVAL, asked.0.recv_many(&mut waiting, WAITING));
            match stop.run_until_cancelled(next).await {
                None | Some(Ok(0)) => return,
                Some(Ok(_) | Err(_)) => {}
            }
            let seen = tokio::time::timeout(CONFIRM_TIMEOUT, self.look()).await.unwrap_or(false);
            for caller in waiting.drain(..) {
                caller.send(seen).ok();
            }
        }
    }

    /// One look: whether the store answered. A failure is not logged here: whoever then asks the store reports it.
    pub async fn look(&self) -> bool {
        let began = Instant::now();
        let Ok(revisions) = self.store.revisions(&self.registry.projects()).await else { return false };
        self.authenticator.apply(revisions.keys);
        self.models.apply(revisions.models);
        for (project, revision) in revisions.projects {
            self.registry.apply(project, revision);
        }
        self.freshness.seen(began);
        // One that failed is made again by the next look.
        self.authenticator.end_revoked(revisions.keys).await.ok();
        true
    }
}
