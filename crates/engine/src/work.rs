//! The loop of a worker: it takes permits, then hints from the queue or rows whose `available_at` has passed, both of
//! the provider instances that it can call, so that no attempt is spent on what it cannot. Hints wake it; once per
//! SWEEP_INTERVAL it asks the store for rows without a hint.

use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_domain::Result;
use prompt_ledger_domain::cause::chain;
use prompt_ledger_observe::executions as observe;
use prompt_ledger_providers::Providers;
use prompt_ledger_queue::{Delivery, Queue};
use prompt_ledger_store::{Claimed, Fence, Holder};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Bounds, Job, Runner};

/// Most executions per claim.
const CLAIM: usize = 64;

/// Pause before the store is asked again what an unanswered claim got.
const DOUBT_PAUSE: Duration = Duration::from_millis(100);

/// Claims queued executions and runs them.
#[derive(Clone)]
pub struct Worker {
    pub runner: Runner,
    pub queue: Arc<dyn Queue>,
    pub providers: Providers,
    /// The instances that this process can call; it claims executions of no others.
    pub instances: Arc<[String]>,
    /// Most executions that run at once.
    pub concurrency: usize,
    /// How often the store is asked for available rows without a hint.
    pub sweep_interval: Duration,
    pub running: TaskTracker,
}

impl Worker {
    /// Claims executions until `stop`. Those that run then continue; they are tracked in `running`.
    pub async fn run(self, stop: CancellationToken) {
        let permits = Arc::new(Semaphore::new(self.concurrency));
        let mut polls = tokio::time::interval(self.sweep_interval);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut due = false;
        loop {
            let Some(Ok(first)) = stop.run_until_cancelled(Arc::clone(&permits).acquire_owned()).await else { return };
            let mut free = first;
            let more = permits.available_permits().min(CLAIM - 1);
            if let Ok(more) = Arc::clone(&permits).try_acquire_many_owned(u32::try_from(more).unwrap_or(0)) {
                free.merge(more);
            }
            let room = free.num_permits();
            if due {
                // Must not be cancelled half way: what was claimed must be run.
                let due_now = self.take_due(room).await;
                // A full batch means that there may be more.
                due = due_now.0.len() == room;
                self.begin(due_now, free);
                continue;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = polls.tick() => due = true,
                deliveries = self.queue.receive(room) => {
                    let worker = self.clone();
                    self.running.spawn(async move { worker.take_hinted(deliveries, free).await });
                }
            }
        }
    }

    /// Claims the hinted executions. Hints are acknowledged as soon as the claim is resolved.
    async fn take_hinted(self, deliveries: Vec<Delivery>, free: OwnedSemaphorePermit) {
        let next: Vec<_> = deliveries
            .iter()
            .map(|Delivery { hint, .. }| Fence { id: hint.execution_id, attempt: hint.attempt })
            .collect();
        let (holder, sent) = (self.runner.holder(), Instant::now());
        let claimed = self.runner.store.claim(next, &self.instances, holder.clone()).await;
        let claimed = self.resolved(claimed, &holder, sent).await;
        self.begin((claimed, sent), free);
        self.queue.done(deliveries).await;
    }

    async fn take_due(&self, room: usize) -> (Vec<Claimed>, Instant) {
        let (holder, sent) = (self.runner.holder(), Instant::now());
        let claimed = self.runner.store.claim_due(room, &self.instances, holder.clone()).await;
        (self.resolved(claimed, &holder, sent).await, sent)
    }

    /// The executions that a claim got. Where its answer was lost, the store is asked what runs under its claim id,
    /// until half of the lease has passed.
    async fn resolved(&self, claimed: Result<Vec<Claimed>>, holder: &Holder, sent: Instant) -> Vec<Claimed> {
        let mut claimed = claimed;
        loop {
            match claimed {
                Ok(claimed) => return claimed,
                Err(error) if sent.elapsed() > holder.lease / 2 => {
                    tracing::warn!(cause = chain(&error), "a claim was given up: the store does not answer");
                    return Vec::new();
                }
                Err(error) => {
                    tracing::warn!(cause = chain(&error), "a claim is in doubt; asking what it got");
                }
            }
            tokio::time::sleep(DOUBT_PAUSE).await;
            claimed = self.runner.store.claimed(holder.claim_id).await;
        }
    }

    /// Runs each claimed execution in a task, with one permit each.
    fn begin(&self, (claimed, sent): (Vec<Claimed>, Instant), mut free: OwnedSemaphorePermit) {
        if !claimed.is_empty() {
            observe::claimed(claimed.len());
        }
        for claimed in claimed {
            let permit = free.split(1);
            let runner = self.runner.clone();
            runner.publisher.changed(claimed.fence.id, claimed.event);
            observe::waited(claimed.event.at.since(claimed.available_at));
            let provider = match self.providers.get(&claimed.model.provider) {
                Ok(provider) => provider,
                Err(error) => {
                    // No claim asks for it. Its lease runs out, and another worker takes it.
                    tracing::error!(%error, execution_id = %claimed.fence.id, "what was claimed cannot be called here");
                    continue;
                }
            };
            let bounds = Bounds {
                sent,
                expire_at: claimed.expires_in.map(|left| sent + left),
                caller_deadline: None,
                hung_up: CancellationToken::new(),
            };
            self.running.spawn(async move {
                // A failed write has been logged already.
                runner.run(Job::claimed(claimed, provider), bounds).await.ok();
                // Not earlier: an end that waits to be written takes up memory, as a running call does.
                drop(permit);
            });
        }
    }
}
