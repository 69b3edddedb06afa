//! The background tasks of a server, beside those of its engine.

use std::sync::Arc;

use prompt_ledger_engine::Engine;
use prompt_ledger_runtime::config::ExecutionConfig;
use prompt_ledger_runtime::tasks::Tasks;
use prompt_ledger_store::Store;

use super::services::ServiceSet;
use crate::rollup_job;
use crate::sweeper::Sweeper;

/// Starts the tasks that maintain the store (sweeper, rollup job) and those behind the services' limits.
pub(super) fn spawn(
    config: &ExecutionConfig,
    store: &Arc<dyn Store>,
    engine: &Engine,
    services: &ServiceSet,
    tasks: &mut Tasks,
) {
    let stop = || engine.drain.stop.clone();
    let sweeper = Sweeper {
        store: store.clone(),
        publisher: engine.runner.publisher.clone(),
        lease: config.lease,
        interval: config.sweep_interval,
    };
    let executions = &services.executions;
    tasks.spawn("sweeper", sweeper.run(stop()));
    tasks.spawn("rollup job", rollup_job::run(store.clone(), stop()));
    let (hints, stopped) = (executions.hints.clone().ended(), stop());
    tasks.spawn("hints", async move { _ = stopped.run_until_cancelled(hints).await });
    tasks.spawn("backpressure", Arc::clone(&executions.backpressure).run(store.clone(), stop()));
    tasks.spawn("provider directory", Arc::clone(&executions.providers).run(stop()));
    tasks.spawn("stream limits", executions.streams.clone().run(stop()));
}
