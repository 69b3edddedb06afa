//! The background tasks of a server, beside those of its engine.

use std::sync::Arc;

use prompt_ledger_backends::Backends;
use prompt_ledger_engine::Engine;
use prompt_ledger_queue::Topic;
use prompt_ledger_runtime::config::ExecutionConfig;
use prompt_ledger_runtime::tasks::Tasks;

use super::services::{ServiceSet, ServiceUpkeep};
use crate::rollup_job;
use crate::sweeper::Sweeper;

/// Starts the tasks that maintain the store (sweeper, rollup job), those that keep the services in step with it and with
/// the bus, and those behind the services' limits.
pub(super) fn spawn(
    config: &ExecutionConfig,
    backends: &Backends,
    engine: &Engine,
    services: &ServiceSet,
    upkeep: ServiceUpkeep,
    tasks: &mut Tasks,
) {
    let (store, bus, stop) = (&backends.store, &backends.brokers.bus, || engine.drain.stop.clone());
    let sweeper = Sweeper {
        store: store.clone(),
        executions: store.clone(),
        publisher: engine.runner.publisher.clone(),
        lease: config.lease,
        interval: config.sweep_interval,
    };
    tasks.spawn("sweeper", sweeper.run(stop()));
    tasks.spawn("rollup job", rollup_job::run(store.clone(), stop()));

    let executions = &services.executions;
    let (texts, announcements) = (engine.runner.texts.clone(), engine.announcements.clone());
    let hub =
        Arc::clone(&executions.hub).run(upkeep.hub_work, texts, announcements, bus.listen(Topic::Executions), stop());
    tasks.spawn("watch hub", hub);
    tasks.spawn("project heads", Arc::clone(&services.heads).run(bus.listen(Topic::Prompts), stop()));
    tasks.spawn("cache refresh", upkeep.caches.run(stop()));

    let (hints, stopped) = (executions.hints.clone().ended(), stop());
    tasks.spawn("hints", async move { _ = stopped.run_until_cancelled(hints).await });
    tasks.spawn("backpressure", Arc::clone(&executions.backpressure).run(store.clone(), stop()));
    tasks.spawn("provider directory", Arc::clone(&executions.providers).run(stop()));
    tasks.spawn("stream limits", executions.streams.clone().run(stop()));
}
