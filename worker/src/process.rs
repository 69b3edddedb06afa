//! The worker process, from its start to its end.

use std::time::Duration;

use prompt_ledger_backends::{Backends, StartError};
use prompt_ledger_engine::{Engine, ProcessKind};
use prompt_ledger_health::{HealthListener, Monitor};
use prompt_ledger_observe::Observer;
use prompt_ledger_runtime::config::Config;
use prompt_ledger_runtime::drain::{Drain, SignalRequest, Signals, abort_before_end};
use prompt_ledger_runtime::process_name;
use prompt_ledger_runtime::tasks::Tasks;
use tokio::time::{Instant, timeout, timeout_at};
use tonic_health::server::HealthReporter;

/// How long the attempts that are given up at the end of the drain, and then the background tasks, may take to end.
const GIVING_UP: Duration = Duration::from_millis(300);

/// Works until a signal asks the process to end, then claims no more, and finishes or hands back what it has. An error
/// where a background task ended by itself.
pub(crate) async fn run(config: &Config) -> Result<(), StartError> {
    // From here on a signal does not end the process by itself.
    let mut signals = Signals::listen()?;
    let process = process_name("worker");
    // Before anything is claimed, which an error here would leave to its lease.
    let listener = match config.health_addr {
        Some(addr) => Some(HealthListener::bind(addr).await?),
        None => None,
    };
    let Backends { store, brokers, providers, about, .. } = Backends::production(config, &process).await?;
    // After the address that is configured: its default gives way. And once it is known that there is work to observe.
    let mut observer = Observer::start(&config.observe, "prompt-ledger-worker", &process).await?;
    let metrics = observer.addr();
    let (execution, drain, mut tasks) = (&config.execution, Drain::new(), Tasks::default());
    tasks.spawn("metrics", observer.serve(drain.stop.clone()));
    let engine = Engine::start(process, store.clone(), &brokers.bus, None, execution, &drain, &mut tasks)?;
    engine.announce(store.clone(), ProcessKind::Worker, &providers, &mut tasks).await;
    engine.take_queued(brokers.queue, providers, execution, &mut tasks);
    let health = match listener {
        Some(listener) => {
            let reporter = HealthReporter::new();
            let health = Monitor::new(reporter.clone(), &[""]).await;
            tasks.spawn_on_thread("health monitor", health.clone().watch(store.clone(), drain.refuse.clone()))?;
            tasks.spawn("health listener", listener.serve(reporter, drain.stop.clone()));
            Some(health)
        }
        None => None,
    };
    tracing::info!(
        release = env!("CARGO_PKG_VERSION"),
        schema = about.schema,
        database = about.database,
        brokers = about.brokers,
        metrics = metrics.map(tracing::field::display),
        health = config.health_addr.map(tracing::field::display),
        worker = engine.runner.worker,
        concurrency = execution.worker_concurrency,
        "working"
    );

    let asked = until_asked(&mut signals, &mut tasks).await;
    let (began, grace) = (Instant::now(), config.server.shutdown_grace);
    if let Some(health) = health {
        health.drain().await;
    }
    tracing::info!(
        wait = ?(grace - abort_before_end(grace)),
        ?grace,
        "shutting down: claiming no more; what runs has `wait` to end, then it is handed back; a second signal hands it back at once"
    );
    let hurry = async {
        signals.asked_to_end().await;
        tracing::warn!("a second signal: handing back what runs");
    };
    let end = engine.finish(grace, hurry).await;
    drain.stop.cancel();
    let left = async {
        // `stop` ends the attempts whose writes are still being retried; they log what is lost.
        let _ = timeout(GIVING_UP, engine.running.wait()).await;
        let closing = async {
            tasks.stop(Instant::now() + GIVING_UP).await;
            engine.announcements.close().await;
            brokers.connections.close().await;
            store.close().await;
        };
        // Beside the others, which may take all that is left; what is lost has been counted.
        tokio::join!(closing, observer.close());
    };
    let _ = timeout_at(end, left).await;
    tracing::info!(took = ?began.elapsed(), "shut down");
    asked
}

/// Waits for the signal to end the process, or for the end of a background task, which is an error.
async fn until_asked(signals: &mut Signals, tasks: &mut Tasks) -> Result<(), StartError> {
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                SignalRequest::End => return Ok(()),
                SignalRequest::Reload => {
                    tracing::info!("SIGHUP: a worker has no certificate of its own, and nothing to reload");
                }
            },
            ended = tasks.ended() => return Err(ended.into()),
        }
    }
}
