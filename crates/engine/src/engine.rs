//! Starts what a process needs to run attempts. The background tasks are supervised with those of the process.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_providers::Providers;
use prompt_ledger_queue::{Announcement, Bus, Outbox, Queue, Topic};
use prompt_ledger_runtime::config::ExecutionConfig;
use prompt_ledger_runtime::drain::Drain;
use prompt_ledger_runtime::tasks::Tasks;
use prompt_ledger_store::{ExecutionWriter, ProcessKind, ProcessRecord, Processes};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::{CancelListener, EventObserver, EventPublisher, Heartbeat, Presence, Runner, Texts, Worker};

/// Runs the attempts of one process.
pub struct Engine {
    pub runner: Runner,
    /// The drain waits for these: executions from claim or recording to recorded end, and other tracked work.
    pub running: TaskTracker,
    /// Sends announcements to the bus. Must be closed at the end of the process, after everything that publishes.
    pub announcements: Outbox<Announcement>,
    pub drain: Drain,
}

impl Engine {
    /// Starts heartbeats (on their own thread), the listeners for cancellations and text requests, and the
    /// announcements. They run until `drain.stop`, announcements until the outbox is closed. `process` is recorded with
    /// each attempt; `observer` receives each change before the bus does. Must be called within a tokio runtime.
    pub fn start(
        process: String,
        store: Arc<dyn ExecutionWriter>,
        bus: &Arc<dyn Bus>,
        observer: Option<Arc<dyn EventObserver>>,
        config: &ExecutionConfig,
        drain: &Drain,
        tasks: &mut Tasks,
    ) -> io::Result<Self> {
        let announcements = Outbox::announcements(Arc::clone(bus));
        let publisher = EventPublisher::new(announcements.clone(), observer);
        let texts = Texts::new(publisher.clone());
        let heartbeat = Heartbeat::new(store.clone(), config.lease);
        let cancels = CancelListener {
            store: store.clone(),
            heartbeat: heartbeat.clone(),
            announced: bus.listen(Topic::Cancels),
        };
        let (beating, abort) = (heartbeat.clone().run(drain.stop.clone()), drain.abort.clone().drop_guard());
        // Without heartbeats leases are neither extended nor seen to be lost: no call may go on.
        tasks.spawn_on_thread("heartbeats", async move {
            let _abort = abort;
            beating.await;
        })?;
        tasks.spawn("cancel listener", cancels.run(drain.stop.clone()));
        tasks.spawn("text requests", texts.clone().run(bus.listen(Topic::TextRequests), drain.stop.clone()));
        let (sending, stop) = (announcements.clone().ended(), drain.stop.clone());
        tasks.spawn("announcements", async move { _ = stop.run_until_cancelled(sending).await });
        let runner = Runner {
            store,
            heartbeat,
            policy: config.retry.clone(),
            worker: process,
            publisher,
            texts,
            abort: drain.abort.clone(),
            stop: drain.stop.clone(),
        };
        Ok(Self { runner, running: TaskTracker::new(), announcements, drain: drain.clone() })
    }

    /// Tells the other processes of this one, and which of `providers` it can call: once before this returns, then until
    /// the drain begins.
    pub async fn announce(
        &self,
        store: Arc<dyn Processes>,
        kind: ProcessKind,
        providers: &Providers,
        tasks: &mut Tasks,
    ) {
        let process = ProcessRecord {
            id: self.runner.worker.clone(),
            kind,
            providers: providers.ready().map(|(name, traits)| (name.to_owned(), traits)).collect(),
            release: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let presence = Presence { store, process };
        presence.announce().await;
        // The drain waits until the others are told that this process takes no more.
        let (leaving, running) = (self.running.token(), presence.run(self.drain.refuse.clone()));
        tasks.spawn("presence", async move {
            let _leaving = leaving;
            running.await;
        });
    }

    /// Claims and runs queued executions of `providers` until the drain begins, at most `worker_concurrency` at once.
    pub fn take_queued(
        &self,
        queue: Arc<dyn Queue>,
        providers: Providers,
        config: &ExecutionConfig,
        tasks: &mut Tasks,
    ) {
        let worker = Worker {
            runner: self.runner.clone(),
            queue,
            instances: providers.ready().map(|(name, _)| name.to_owned()).collect(),
            providers,
            concurrency: config.worker_concurrency,
            sweep_interval: config.sweep_interval,
            running: self.running.clone(),
        };
        let refuse = self.drain.refuse.clone();
        // The drain waits for a claim that is under way, and then for what it got.
        let claiming = self.running.token();
        tasks.spawn("worker", async move {
            let _claiming = claiming;
            worker.run(refuse).await;
        });
    }

    /// Begins the drain and waits until nothing runs, in the time that [`Drain::begin`] gives. Returns the end of the
    /// grace.
    pub async fn finish(&self, grace: Duration, hurry: impl Future<Output = ()>) -> Instant {
        self.running.close();
        self.drain.begin(grace, self.running.wait(), hurry).await
    }
}
