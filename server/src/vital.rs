//! Health follows the store: a server whose database does not answer says NOT_SERVING, and SERVING again when it does.

use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_store::Registry;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;

use crate::app::serving;

/// How often the store is asked, and how long it may take to answer.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Asks the store until the drain begins: from then on health stays NOT_SERVING.
pub async fn watch(store: Arc<dyn Registry>, health: HealthReporter, draining: CancellationToken) {
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut serves = true;
    while draining.run_until_cancelled(looks.tick()).await.is_some() {
        let looked = tokio::time::timeout(LOOK_INTERVAL, store.revisions(&[]));
        let Some(answered) = draining.run_until_cancelled(looked).await else { return };
        let serves_now = matches!(answered, Ok(Ok(_)));
        if serves_now != serves {
            match serves_now {
                true => tracing::info!("the database answers again"),
                false => tracing::error!("the database does not answer; health says NOT_SERVING until it does"),
            }
            serving(&health, serves_now).await;
            serves = serves_now;
        }
    }
}
