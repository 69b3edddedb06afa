//! Composes the services of a server, and the refresh of their caches.

use std::sync::Arc;

use prompt_ledger_backends::Backends;
use prompt_ledger_engine::Engine;
use prompt_ledger_queue::Outbox;
use prompt_ledger_runtime::config::Config;
use tokio_util::sync::CancellationToken;

use super::role::Role;
use crate::front::answers::Answers;
use crate::grpc::status;
use crate::service::cache::Freshness;
use crate::service::execution::Backpressure;
use crate::service::refresh::{Confirm, ConfirmRequests, Refresh};
use crate::service::{
    AnalyticsService, Authenticator, CpuPool, ExecutionService, ModelService, ProviderDirectory, RegistryService,
};
use crate::watch::{Hub, HubWork, ProjectHeads, PromptWatches, StreamLimits};

pub(super) struct ServiceSet {
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) registry: Arc<RegistryService>,
    pub(super) heads: Arc<ProjectHeads>,
    pub(super) prompt_watches: Arc<PromptWatches>,
    pub(super) models: Arc<ModelService>,
    pub(super) executions: Arc<ExecutionService>,
    pub(super) analytics: Arc<AnalyticsService>,
    /// The responses that wait for their callers, as gRPC tells their errors.
    pub(super) answers: Answers,
}

/// The work that the services give themselves, for tasks of their own.
pub(super) struct ServiceUpkeep {
    pub(super) hub_work: HubWork,
    pub(super) caches: CacheRefresh,
}

/// Keeps the services' caches in step with the store.
pub(super) struct CacheRefresh {
    refresh: Refresh,
    /// Calls that wait for a read of the revisions; absent where no other process writes to the store.
    requests: Option<ConfirmRequests>,
}

impl CacheRefresh {
    pub(super) async fn run(self, stop: CancellationToken) {
        match self.requests {
            Some(requests) => self.refresh.confirm(requests, stop).await,
            None => self.refresh.run(stop).await,
        }
    }
}

/// `is_loopback`: only this machine can reach the server, so that an embedded one accepts the development key.
pub(super) fn services(
    config: &Config,
    role: Role,
    is_loopback: bool,
    backends: &Backends,
    engine: &Engine,
    (hub, hub_work): (Arc<Hub>, HubWork),
) -> (ServiceSet, ServiceUpkeep) {
    let (store, here) = (&backends.store, backends.providers.clone());
    let (freshness, confirm, requests) = match role {
        Role::Embedded => (Freshness::default(), None, None),
        Role::Production => {
            let (confirm, requests) = Confirm::new();
            (Freshness::confirmed(), Some(confirm), Some(requests))
        }
    };
    let (freshness, cpu) = (Arc::new(freshness), CpuPool::default());
    let development_key = role == Role::Embedded && is_loopback;
    let authenticator = Authenticator::new(store.clone(), &freshness, config.server.api_key.as_ref(), development_key)
        .confirming(confirm);
    let authenticator = Arc::new(authenticator);
    let heads = ProjectHeads::announcing(engine.announcements.clone());
    let registry = RegistryService::new(store.clone(), store.clone(), &freshness, cpu.clone());
    let registry = Arc::new(registry.telling(Arc::clone(&heads)));
    let streams = StreamLimits::new(config.watch.clone(), engine.drain.refuse.clone());
    let answers = Answers::new(&status::FORM);
    let prompt_watches = PromptWatches::new(store.clone(), Arc::clone(&heads), Arc::clone(&streams), &answers);
    let providers = match role {
        Role::Embedded => ProviderDirectory::alone(here),
        Role::Production => ProviderDirectory::among(here, store.clone(), config.server.require_provider),
    };
    let providers = Arc::new(providers);
    let models = Arc::new(ModelService::new(store.clone(), Arc::clone(&providers), &freshness));
    let backpressure = Backpressure::new(config.server.max_inflight_submits, config.server.queue_depth_limit);
    let executions = Arc::new(ExecutionService {
        authenticator: Arc::clone(&authenticator),
        registry: Arc::clone(&registry),
        cpu,
        models: Arc::clone(&models),
        providers,
        store: store.clone(),
        reader: store.clone(),
        runner: engine.runner.clone(),
        hints: Outbox::hints(Arc::clone(&backends.brokers.queue)),
        redispatch_after: config.execution.redispatch_after,
        backpressure: Arc::new(backpressure),
        hub,
        streams,
        running: engine.running.clone(),
        draining: engine.drain.refuse.clone(),
        default_model: config.execution.default_model.clone(),
    });
    let refresh = Refresh {
        store: store.clone(),
        freshness,
        authenticator: Arc::clone(&authenticator),
        models: Arc::clone(&models),
        registry: Arc::clone(&registry),
    };
    let analytics = Arc::new(AnalyticsService::new(store.clone()));
    let services =
        ServiceSet { authenticator, registry, heads, prompt_watches, models, executions, analytics, answers };
    (services, ServiceUpkeep { hub_work, caches: CacheRefresh { refresh, requests } })
}
