//! Refuses submits beyond bounds: those under way on one server, and the executions queued in the deployment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prompt_ledger_domain::error::{Error, Reason, Result};
use prompt_ledger_store::ExecutionReader;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often the queue is measured.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Retry delay of a refusal.
const RETRY_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Backpressure {
    places: Arc<Semaphore>,
    inflight_limit: usize,
    /// Queued executions of the deployment when last measured, counted up to `depth_limit`.
    queued: AtomicUsize,
    depth_limit: usize,
}

impl Backpressure {
    /// At most `inflight_limit` submits under way on this server, and `depth_limit` executions queued in the
    /// deployment.
    #[must_use]
    pub fn new(inflight_limit: usize, depth_limit: usize) -> Self {
        let places = Arc::new(Semaphore::new(inflight_limit));
        Self { places, inflight_limit, queued: AtomicUsize::new(0), depth_limit }
    }

    /// A permit for one submit; OVERLOADED where a bound is reached.
    pub fn admit(&self) -> Result<OwnedSemaphorePermit> {
        if self.queued.load(Ordering::Relaxed) >= self.depth_limit {
            let message = format!("{} executions are queued, as many as QUEUE_DEPTH_LIMIT allows", self.depth_limit);
            return Err(overloaded(&message));
        }
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            overloaded(&format!("{} submits are under way on this server, as many as it takes", self.inflight_limit))
        })
    }

    /// Measures the queue until `stop`.
    pub async fn run(self: Arc<Self>, store: Arc<dyn ExecutionReader>, stop: CancellationToken) {
        let mut looks = tokio::time::interval(POLL_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            // A store that does not answer is reported by the calls that need it.
            if let Ok(queued) = store.queued(self.depth_limit).await {
                self.queued.store(queued, Ordering::Relaxed);
            }
        }
    }
}

fn overloaded(message: &str) -> Error {
    Error::new(Reason::Overloaded, format!("{message}; try again later")).retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_server_and_a_full_queue_refuse_and_say_when_to_come_back() {
        let pressure = Backpressure::new(1, 10);
        let place = pressure.admit().unwrap();
        let refused = pressure.admit().unwrap_err();
        assert_eq!((refused.reason(), refused.parts().retry_after), (Reason::Overloaded, Some(RETRY_AFTER)));
        drop(place);
        drop(pressure.admit().unwrap());
        pressure.queued.store(10, Ordering::Relaxed);
        assert!(pressure.admit().unwrap_err().to_string().contains("10 executions are queued"));
        pressure.queued.store(9, Ordering::Relaxed);
        drop(pressure.admit().unwrap());
    }
}
