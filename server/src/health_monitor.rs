//! Sets the gRPC health by the store: NOT_SERVING while its database would not take a write, SERVING again when it
//! would. Runs on a thread with a runtime of its own, so that a busy server is not reported as a dead one.

use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_domain::{Error, Reason};
use prompt_ledger_store::Maintenance;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;

/// How often the store is checked, and how long a check may take: longer than a new connection and a query do.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
const CHECK_LIMIT: Duration = Duration::from_secs(5);
/// Consecutive failed checks until NOT_SERVING: the next check replaces a connection that broke.
const FAILURES: u32 = 2;

/// Every service of the contract by its full name; the empty name is the server as a whole.
const SERVICES: [&str; 5] = [
    "",
    "promptledger.v1.RegistryService",
    "promptledger.v1.ExecutionService",
    "promptledger.v1.CodeRegistrationService",
    "promptledger.v1.AnalyticsService",
];

/// Checks the store until `draining` fires; the drain itself sets NOT_SERVING.
pub async fn run(store: Arc<dyn Maintenance>, health: HealthReporter, draining: CancellationToken) {
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
                    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    tracing::error!(%error, cause, "the database takes no writes: health says NOT_SERVING until it does");
                }
            }
            serving(&health, serves).await;
        }
    }
}

pub(crate) async fn serving(health: &HealthReporter, yes: bool) {
    let status = match yes {
        true => tonic_health::ServingStatus::Serving,
        false => tonic_health::ServingStatus::NotServing,
    };
    for service in SERVICES {
        health.set_service_status(service, status).await;
    }
}
