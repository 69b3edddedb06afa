//! Extends the leases of everything that this process holds, in one statement every third of a lease. The local end of
//! a lease is monotonic and counted from before the write was sent. Past it the lease counts as lost, whatever the
//! store says later: no call is begun, and a running one is aborted. What is still held then waits to write its end;
//! its lease is extended in the store for as long as its fence holds there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prompt_ledger_domain::cause::chain;
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_store::{Fence, Leases};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The leases of a process.
#[derive(Clone)]
pub struct Heartbeat {
    shared: Arc<HeartbeatInner>,
}

struct HeartbeatInner {
    store: Arc<dyn Leases>,
    lease: Duration,
    held: Mutex<HashMap<Fence, HeldLease>>,
    /// Signals that a lease was added with less than half of it left, so `lapses` must wake earlier than planned.
    sooner: Notify,
}

struct HeldLease {
    /// Local end of the lease.
    end: Instant,
    lost: CancellationToken,
    cancel: CancellationToken,
}

/// A lease that is extended until this is dropped.
pub struct Lease {
    shared: Arc<HeartbeatInner>,
    fence: Fence,
    /// Fires when the lease is lost: no call may be begun, and a running one is aborted.
    pub lost: CancellationToken,
    /// Fires when the execution's cancellation was requested.
    pub cancel: CancellationToken,
}

impl Heartbeat {
    /// Extends nothing until `run`.
    #[must_use]
    pub fn new(store: Arc<dyn Leases>, lease: Duration) -> Self {
        Self { shared: Arc::new(HeartbeatInner { store, lease, held: Mutex::default(), sooner: Notify::new() }) }
    }

    /// How long a lease lasts unless it is extended.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.shared.lease
    }

    /// Extends the lease of an attempt whose claim was sent at `sent`. A lease that has ended by now is lost at once.
    #[must_use]
    pub fn hold(&self, fence: Fence, sent: Instant) -> Lease {
        let (lost, cancel) = (CancellationToken::new(), CancellationToken::new());
        let entry = HeldLease { end: sent + self.shared.lease, lost: lost.clone(), cancel: cancel.clone() };
        let end = entry.end;
        self.shared.held().insert(fence, entry);
        if end <= Instant::now() {
            lost.cancel();
        } else if end < Instant::now() + self.shared.lease / 2 {
            self.shared.sooner.notify_one();
        }
        Lease { shared: Arc::clone(&self.shared), fence, lost, cancel }
    }

    /// Aborts the call of this execution, if this process holds it: its cancellation was requested.
    pub fn cancel(&self, id: ExecutionId) {
        for entry in self.shared.held().iter().filter(|(fence, _)| fence.id == id).map(|(_, entry)| entry) {
            entry.cancel.cancel();
        }
    }

    #[must_use]
    pub fn held(&self) -> Vec<Fence> {
        self.shared.held().keys().copied().collect()
    }

    /// Extends leases until `stop`. Must run once per process, on a thread of its own: busy executor threads then delay no
    /// heartbeat.
    pub async fn run(self, stop: CancellationToken) {
        // Concurrently: a store that does not answer must not delay the local end of a lease.
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.beats() => {}
            () = self.shared.lapses() => {}
        }
    }

    async fn beats(&self) {
        let mut pause = self.shared.lease / 3;
        loop {
            tokio::time::sleep(pause).await;
            pause = if self.beat().await { self.shared.lease / 3 } else { self.shared.lease / 12 };
        }
    }

    /// Extends everything held, once; false when the store did not answer.
    async fn beat(&self) -> bool {
        let fences = self.held();
        if fences.is_empty() {
            return true;
        }
        let sent = Instant::now();
        let asked = self.shared.store.extend(&fences, self.shared.lease);
        match tokio::time::timeout(self.shared.lease / 3, asked).await {
            Ok(Ok(kept)) => {
                let mut held = self.shared.held();
                for fence in &fences {
                    let Some(entry) = held.get_mut(fence) else { continue };
                    match kept.iter().find(|kept| kept.fence == *fence) {
                        Some(kept) => {
                            entry.end = sent + self.shared.lease;
                            if kept.cancel_requested {
                                entry.cancel.cancel();
                            }
                        }
                        None => entry.lost.cancel(),
                    }
                }
                true
            }
            Ok(Err(error)) => {
                tracing::warn!(cause = chain(&error), "leases could not be extended");
                false
            }
            Err(_) => {
                tracing::warn!(cause = "heartbeats: no answer in time", "leases could not be extended");
                false
            }
        }
    }
}

impl HeartbeatInner {
    fn held(&self) -> MutexGuard<'_, HashMap<Fence, HeldLease>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks leases as lost at their local end.
    async fn lapses(&self) {
        loop {
            let now = Instant::now();
            // A lease that is added later has at least half of it left, or `sooner` is notified.
            let wake = self.lapse(now).unwrap_or(now + self.lease).min(now + self.lease / 2);
            tokio::select! {
                () = tokio::time::sleep_until(wake) => {}
                () = self.sooner.notified() => {}
            }
        }
    }

    /// Marks leases whose local end has come as lost; returns the next local end.
    fn lapse(&self, now: Instant) -> Option<Instant> {
        let held = self.held();
        for entry in held.values().filter(|entry| entry.end <= now) {
            entry.lost.cancel();
        }
        held.values().map(|entry| entry.end).filter(|end| *end > now).min()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.held().remove(&self.fence);
    }
}

#[cfg(test)]
mod tests;
