//! Sets the gRPC health by the store: NOT_SERVING while its database would not take a write, SERVING again when it
//! would. Runs on a thread with a runtime of its own, so that a busy process is not reported as a dead one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prompt_ledger_domain::cause::chain;
use prompt_ledger_domain::{Error, Reason};
use prompt_ledger_store::Maintenance;
use tokio::sync::Mutex;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::ALIVE;

/// How often the store is checked, and how long a check may take: longer than a new connection and a query do.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
const CHECK_LIMIT: Duration = Duration::from_secs(5);
/// Consecutive failed checks until NOT_SERVING: the next check replaces a connection that broke.
const FAILURES: u32 = 2;

/// The health of a process. Clones set the same one.
#[derive(Clone, Debug)]
pub struct Monitor {
    reporter: HealthReporter,
    /// By their full names; the empty name is the process as a whole.
    services: &'static [&'static str],
    serves: Arc<AtomicBool>,
    /// Whether the process drains. Held while the health is set: the drain sets it last.
    drains: Arc<Mutex<bool>>,
}

impl Monitor {
    /// SERVING for all of these services, and for [`ALIVE`].
    pub async fn new(reporter: HealthReporter, services: &'static [&'static str]) -> Self {
        let monitor = Self { reporter, services, serves: Arc::default(), drains: Arc::default() };
        monitor.serving(true).await;
        monitor.reporter.set_service_status(ALIVE, ServingStatus::Serving).await;
        monitor
    }

    /// NOT_SERVING from now on, whatever the store takes.
    pub async fn drain(&self) {
        let mut drains = self.drains.lock().await;
        *drains = true;
        self.set(false).await;
    }

    /// Whether calls are welcome, unless the process drains.
    pub async fn serving(&self, yes: bool) {
        let drains = self.drains.lock().await;
        if !*drains {
            self.set(yes).await;
        }
    }

    async fn set(&self, yes: bool) {
        self.serves.store(yes, Ordering::Relaxed);
        let status = if yes { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in self.services {
            self.reporter.set_service_status(*service, status).await;
        }
    }

    /// What was last set.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.serves.load(Ordering::Relaxed)
    }

    /// Checks the store until `draining` fires; NOT_SERVING is then set by [`Monitor::drain`].
    pub async fn watch(self, store: Arc<dyn Maintenance>, draining: CancellationToken) {
        let mut checks = tokio::time::interval(CHECK_INTERVAL);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut serves, mut failures) = (true, 0);
        while draining.run_until_cancelled(checks.tick()).await.is_some() {
            let checked = tokio::time::timeout(CHECK_LIMIT, store.check_writable());
            let Some(checked) = draining.run_until_cancelled(checked).await else { return };
            let checked = checked.unwrap_or_else(|_| Err(Error::new(Reason::StoreUnavailable, "no answer in time")));
            failures = if checked.is_ok() { 0 } else { failures + 1 };
            let next = failures == 0 || (serves && failures < FAILURES);
            if next != serves {
                serves = next;
                match checked {
                    Ok(()) => tracing::info!("the database takes writes again: health says SERVING"),
                    Err(error) => {
                        let error = chain(&error);
                        tracing::error!(error, "the database takes no writes: health says NOT_SERVING until it does");
                    }
                }
                self.serving(serves).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_health::server::health_reporter;

    #[tokio::test]
    async fn a_check_that_ends_during_the_drain_does_not_say_serving_again() {
        let (reporter, _service) = health_reporter();
        let monitor = Monitor::new(reporter, &[""]).await;
        let checks = monitor.clone();
        checks.serving(false).await;
        checks.serving(true).await;
        assert!(monitor.is_serving());
        monitor.drain().await;
        checks.serving(true).await;
        assert!(!monitor.is_serving());
    }
}
