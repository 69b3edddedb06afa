//! The one look at the store that keeps every cache of this node right.

use std::sync::Arc;
use std::time::Instant;

use prompt_ledger_store::Registry;
use tokio_util::sync::CancellationToken;

use super::cache::{Freshness, LOOK_INTERVAL};
use super::{Gatekeeper, ModelService, RegistryService};

/// What is kept right.
pub struct Refresh {
    /// Where the revisions are.
    pub store: Arc<dyn Registry>,
    /// Notes that they were seen.
    pub freshness: Arc<Freshness>,
    /// Holds keys and projects.
    pub gatekeeper: Arc<Gatekeeper>,
    /// Holds models.
    pub models: Arc<ModelService>,
    /// Holds prompts.
    pub registry: Arc<RegistryService>,
}

impl Refresh {
    /// Looks until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.look().await;
        }
    }

    /// One look. A failure is not logged here: whoever then asks the store reports it.
    pub async fn look(&self) {
        let began = Instant::now();
        let Ok(revisions) = self.store.revisions().await else { return };
        self.gatekeeper.apply(revisions.keys);
        self.models.apply(revisions.models);
        for (project, revision) in revisions.projects {
            self.registry.apply(project, revision);
        }
        self.freshness.seen(began);
    }
}
