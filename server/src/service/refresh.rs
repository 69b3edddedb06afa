//! Reads the revisions that keep the caches of this process valid, and ends the streams of revoked keys. Where this
//! process is the only server, four reads a second are enough, because its own writes empty the caches. Where there
//! are others, a call is answered from a cache only after a read that began after the call came; concurrent calls
//! share one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prompt_ledger_domain::cause::chain;
use prompt_ledger_domain::error::{Error, Reason, Result};
use prompt_ledger_store::Registry;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::cache::{Freshness, POLL_INTERVAL};
use super::{Authenticator, ModelService, RegistryService};

/// How long a read of the revisions may take.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(2);
/// How many calls may wait for a read.
const WAITING: usize = 16 * 1024;

pub struct Refresh {
    pub store: Arc<dyn Registry>,
    pub freshness: Arc<Freshness>,
    /// Caches keys and projects.
    pub authenticator: Arc<Authenticator>,
    /// Caches models.
    pub models: Arc<ModelService>,
    /// Caches prompts.
    pub registry: Arc<RegistryService>,
}

/// Requests a read of the revisions that begins after the request.
#[derive(Clone, Debug)]
pub struct Confirm(mpsc::Sender<oneshot::Sender<bool>>);

impl Confirm {
    /// The end that requests, and the end that [`Refresh::confirm`] serves.
    #[must_use]
    pub fn new() -> (Self, ConfirmRequests) {
        let (ask, asked) = mpsc::channel(WAITING);
        (Self(ask), ConfirmRequests(asked))
    }

    /// Waits until every write before this call is known here: STORE_UNAVAILABLE where the store does not answer.
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

/// The calls that wait for a read of the revisions.
#[derive(Debug)]
pub struct ConfirmRequests(mpsc::Receiver<oneshot::Sender<bool>>);

impl Refresh {
    /// Reads four times a second until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.look().await;
        }
    }

    /// Reads whenever it is requested, once for all requests that wait by then, and at least four times a second,
    /// until `stop`.
    pub async fn confirm(self, mut asked: ConfirmRequests, stop: CancellationToken) {
        let mut waiting = Vec::new();
        loop {
            let next = tokio::time::timeout(POLL_INTERVAL, asked.0.recv_many(&mut waiting, WAITING));
            match stop.run_until_cancelled(next).await {
                None | Some(Ok(0)) => return,
                Some(Ok(_) | Err(_)) => {}
            }
            let looked = tokio::time::timeout(CONFIRM_TIMEOUT, self.look()).await;
            let seen = looked.unwrap_or_else(|_| {
                let cause = format!("the revisions: no answer within {CONFIRM_TIMEOUT:?}");
                tracing::warn!(cause, "the caches' revisions could not be read; calls that wait for it fail");
                false
            });
            for caller in waiting.drain(..) {
                caller.send(seen).ok();
            }
        }
    }

    /// Reads the revisions once; false where the store did not answer.
    pub async fn look(&self) -> bool {
        let began = Instant::now();
        let revisions = match self.store.revisions(&self.registry.projects()).await {
            Ok(revisions) => revisions,
            Err(error) => {
                tracing::warn!(
                    cause = chain(&error),
                    "the caches' revisions could not be read; calls that wait for it fail"
                );
                return false;
            }
        };
        self.authenticator.apply(revisions.keys);
        self.models.apply(revisions.models);
        for (project, revision) in revisions.projects {
            self.registry.apply(project, revision);
        }
        self.freshness.seen(began);
        // The next read repeats it.
        if let Err(error) = self.authenticator.end_revoked(revisions.keys).await {
            tracing::warn!(cause = chain(&error), "streams of revoked keys could not be ended yet");
        }
        true
    }
}
