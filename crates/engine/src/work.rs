//! The loop of a worker: a permit, then a hint, or a row whose `available_at` has come. It is woken by the queue; once per
//! SWEEP_INTERVAL it asks the store for rows without a hint.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::execution::{ErrorType, Params};
use prompt_ledger_domain::model::Usage;
use prompt_ledger_providers::{Answer, Call, CallError, Provider, Providers, TextSink};
use prompt_ledger_queue::{Delivery, Queue};
use prompt_ledger_store::{Claimed, Fence, Holder};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Bounds, Job, Runner};

/// How many executions one claim asks for at most.
const CLAIM: usize = 64;

/// How long to wait before it is asked again what a claim in doubt got.
const DOUBT_PAUSE: Duration = Duration::from_millis(100);

/// Takes queued executions and runs them, so many at a time.
#[derive(Clone)]
pub struct Worker {
    /// Drives the executions that were claimed.
    pub runner: Runner,
    /// Where hints come from.
    pub queue: Arc<dyn Queue>,
    /// The providers that this process can call.
    pub providers: Providers,
    /// How many run at once.
    pub concurrency: usize,
    /// How often the store is asked for rows without a hint.
    pub sweep_interval: Duration,
    /// The executions that are being run.
    pub running: TaskTracker,
}

impl Worker {
    /// Takes executions until `stop`; those that run then go on, in `running`.
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
                // Never given up half way: what was claimed must be run.
                let due_now = self.take_due(room).await;
                // A full answer means that there may be more.
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

    /// Claims what was hinted at; the broker is told as soon as the claim has answered.
    async fn take_hinted(self, deliveries: Vec<Delivery>, free: OwnedSemaphorePermit) {
        let next: Vec<_> = deliveries
            .iter()
            .map(|Delivery { hint, .. }| Fence { id: hint.execution_id, attempt: hint.attempt })
            .collect();
        let (holder, sent) = (self.runner.holder(), Instant::now());
        let claimed = self.runner.store.claim(next, holder.clone()).await;
        let claimed = self.resolved(claimed, &holder, sent).await;
        self.begin((claimed, sent), free);
        self.queue.done(deliveries).await;
    }

    async fn take_due(&self, room: usize) -> (Vec<Claimed>, Instant) {
        let (holder, sent) = (self.runner.holder(), Instant::now());
        let claimed = self.runner.store.claim_due(room, holder.clone()).await;
        (self.resolved(claimed, &holder, sent).await, sent)
    }

    /// What a claim came to. Where its answer was lost it is in doubt, not refused: what runs with it is ours.
    async fn resolved(&self, claimed: Result<Vec<Claimed>>, holder: &Holder, sent: Instant) -> Vec<Claimed> {
        let mut claimed = claimed;
        loop {
            match claimed {
                Ok(claimed) => return claimed,
                Err(error) if sent.elapsed() > holder.lease / 2 => {
                    tracing::warn!(%error, "a claim was given up: the store does not answer");
                    return Vec::new();
                }
                Err(error) => tracing::warn!(%error, "a claim is in doubt; asking what it got"),
            }
            tokio::time::sleep(DOUBT_PAUSE).await;
            claimed = self.runner.store.claimed(holder.claim_id).await;
        }
    }

    /// Runs what was claimed, a task each, with a permit each.
    fn begin(&self, (claimed, sent): (Vec<Claimed>, Instant), mut free: OwnedSemaphorePermit) {
        for claimed in claimed {
            let permit = free.split(1);
            let runner = self.runner.clone();
            runner.publisher.changed(claimed.fence.id, claimed.event);
            let provider = self
                .providers
                .get(&claimed.model.provider)
                .unwrap_or_else(|error| Arc::new(Missing { message: format!("worker {}: {error}", runner.worker) }));
            let bounds = Bounds {
                sent,
                expire_at: claimed.expires_in.map(|left| sent + left),
                caller_deadline: None,
                hung_up: CancellationToken::new(),
            };
            self.running.spawn(async move {
                // Where nothing could be recorded, that is logged.
                runner.run(Job::claimed(claimed, provider), bounds).await.ok();
                // Not before: an answer that waits to be written takes up room, as one that is awaited does.
                drop(permit);
            });
        }
    }
}

/// Stands in for a provider that this process does not know or cannot call: another worker may.
struct Missing {
    message: String,
}

#[async_trait]
impl Provider for Missing {
    fn check(&self, _: &Params) -> Result<()> {
        Ok(())
    }

    fn takes_any_model(&self) -> bool {
        false
    }

    async fn call(&self, _: Call<'_>, _: Option<&mut dyn TextSink>) -> Result<Answer, CallError> {
        Err(CallError {
            error_type: ErrorType::ProviderError,
            message: self.message.clone(),
            retry_after: None,
            request_id: String::new(),
            usage: Usage::default(),
            latency: None,
        })
    }
}
