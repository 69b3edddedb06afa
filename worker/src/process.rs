//! The worker process: what `prompt-ledger-worker` does between its start and its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prompt_ledger_backends::{Brokers, StartError, production_store, providers};
use prompt_ledger_engine::{CancelListener, EventPublisher, Heartbeat, Runner, Texts, Worker};
use prompt_ledger_queue::{Announcement, Outbox};
use prompt_ledger_runtime::config::Config;
use prompt_ledger_runtime::drain::{Drain, SignalRequest, Signals};
use prompt_ledger_runtime::tasks::Tasks;
use prompt_ledger_runtime::{process_name, thread};
use prompt_ledger_store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long what is given up at the end of the drain may take to say so.
const GIVING_UP: Duration = Duration::from_millis(300);

/// Works until the process is asked to end; then takes no more, finishes or hands back what it has, and leaves.
pub(crate) async fn run(config: &Config) -> Result<(), StartError> {
    // From here on a signal ends nothing by itself.
    let mut signals = Signals::listen()?;
    let store = production_store(config).await?;
    let name = process_name("worker");
    let brokers = Brokers::connect(config, &name)?;
    let drain = Drain::new();
    let running = TaskTracker::new();
    let announcements = Outbox::announcements(Arc::clone(&brokers.bus));
    let publisher = EventPublisher::new(announcements.clone());
    let texts = Texts::new(publisher.clone());
    let heartbeat = Heartbeat::new(store.clone(), config.execution.lease);
    let worker = Worker {
        runner: Runner {
            store: store.clone(),
            heartbeat: heartbeat.clone(),
            policy: config.execution.retry.clone(),
            worker: name,
            publisher,
            texts: texts.clone(),
            abort: drain.abort.clone(),
            stop: drain.stop.clone(),
        },
        queue: Arc::clone(&brokers.queue),
        providers: providers(config)?,
        concurrency: config.execution.worker_concurrency,
        sweep_interval: config.execution.sweep_interval,
        running: running.clone(),
    };
    tracing::info!(worker = worker.runner.worker, concurrency = worker.concurrency, "working");
    let cancels =
        CancelListener { store: store.clone(), heartbeat: heartbeat.clone(), announced: brokers.bus.listen() };
    let beating = thread::spawn("heartbeats", heartbeat.run(drain.stop.clone()))?;
    let mut tasks = Tasks::default();
    tasks.spawn("heartbeats", beating.clone().cancelled_owned());
    tasks.spawn("cancel listener", cancels.run(drain.stop.clone()));
    tasks.spawn("text requests", texts.run(brokers.bus.listen(), drain.stop.clone()));
    let (refuse, takes_no_more) = (drain.refuse.clone(), CancellationToken::new());
    let taken = takes_no_more.clone().drop_guard();
    tasks.spawn("worker", async move {
        let _taken = taken;
        worker.run(refuse).await;
    });

    let asked = loop {
        tokio::select! {
            asked = signals.next() => match asked {
                SignalRequest::End => break Ok(()),
                SignalRequest::Reload => {
                    tracing::info!("SIGHUP: a worker has no certificate of its own, and nothing to reload");
                }
            },
            ended = tasks.ended() => break Err(ended.into()),
        }
    };
    let began = Instant::now();
    let grace = config.server.shutdown_grace;
    tracing::info!(?grace, "shutting down: taking no more, finishing or handing back what runs");
    let ended = async {
        takes_no_more.cancelled().await;
        running.close();
        running.wait().await;
    };
    tokio::pin!(ended);
    let end = drain.begin(grace, &mut ended).await;
    if drain.abort.is_cancelled() {
        let _ = tokio::time::timeout_at(end - grace / 10, ended).await;
    }
    drain.stop.cancel();
    let left = async {
        // Writes that are given up now say so.
        let given_up = futures::future::join(running.wait(), beating.cancelled());
        let _ = tokio::time::timeout(GIVING_UP, given_up).await;
        leave(announcements, brokers, &*store).await;
    };
    let _ = tokio::time::timeout_at(end, futures::future::join(tasks.stop(end), left)).await;
    tracing::info!(took = ?began.elapsed(), "shut down");
    asked
}

async fn leave(announcements: Outbox<Announcement>, brokers: Brokers, store: &dyn Store) {
    announcements.close().await;
    brokers.connections.close().await;
    store.close().await;
}
