//! Composes a server, and orders its start and its shutdown.

mod background;
mod embedded;
mod fronts;
mod listener;
mod production;
mod role;
mod routes;
mod services;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prompt_ledger_backends::{BackendNames, Backends, StartError};
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_engine::Engine;
use prompt_ledger_observe::Observer;
use prompt_ledger_runtime::config::Config;
use prompt_ledger_runtime::drain::{Drain, HURRIED, SignalRequest, Signals, abort_before_end};
use prompt_ledger_runtime::tasks::Tasks;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use self::fronts::Fronts;
use self::listener::Listeners;
use self::role::{Hangup, Role};
use crate::front::answering::Answering;
use crate::service::ExecutionService;
use crate::watch::Hub;

/// The most that each step of the shutdown may take once the work is done: connections, tasks, brokers.
const CLOSING: Duration = Duration::from_millis(500);
/// How long the last answers may take to reach their callers once nothing runs any more.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

pub struct App {
    /// The bound address; with port 0 configured, it has the port that the system chose.
    pub addr: SocketAddr,
    /// The same of the HTTP front; absent where it is off.
    pub http_addr: Option<SocketAddr>,
    /// Where `/metrics` is served; absent where it is off.
    pub metrics_addr: Option<SocketAddr>,
    grace: Duration,
    hangup: Hangup,
    signals: Signals,
    fronts: Fronts,
    answering: Answering,
    executions: Arc<ExecutionService>,
    engine: Engine,
    tasks: Tasks,
    backends: Backends,
    observer: Observer,
}

impl App {
    async fn start(
        config: &Config,
        role: Role,
        process: String,
        addr: SocketAddr,
        backends: Backends,
    ) -> Result<Self, StartError> {
        // Before `Signals::listen`, which changes the SIGHUP disposition that this reads.
        let hangup = role.hangup();
        // From here on a signal does not end the process by itself.
        let signals = Signals::listen()?;
        let listeners = Listeners::bind(config, addr).await?;
        // Before anything is done that is noted, and after all addresses that are configured: its default gives way.
        let mut observer = Observer::start(&config.observe, "prompt-ledger", &process).await?;
        let metrics_addr = observer.addr();

        let (store, bus, execution) = (&backends.store, &backends.brokers.bus, &config.execution);
        let (drain, mut tasks) = (Drain::new(), Tasks::default());
        tasks.spawn("metrics", observer.serve(drain.stop.clone()));
        let (hub, hub_work) = Hub::new(store.clone());
        let events = Some(Arc::clone(&hub) as _);
        let engine = Engine::start(process, store.clone(), bus, events, execution, &drain, &mut tasks)?;
        let is_loopback = listeners.are_loopback();
        let (services, upkeep) = services::services(config, role, is_loopback, &backends, &engine, (hub, hub_work));
        engine.announce(store.clone(), role.process_kind(), &backends.providers, &mut tasks).await;
        // Not before: the queue's limit is shared among the servers that have told that they run.
        services.executions.backpressure.measure(&*services.executions.reader).await;
        background::spawn(execution, &backends, &engine, &services, upkeep, &mut tasks);
        if role == Role::Embedded {
            engine.take_queued(Arc::clone(&backends.brokers.queue), backends.providers.clone(), execution, &mut tasks);
        }
        let fronts = Fronts::serve(config, listeners, &backends, &engine, &services, &mut tasks).await?;
        let app = Self {
            addr: fronts.addr,
            http_addr: fronts.http_addr,
            metrics_addr,
            grace: config.server.shutdown_grace,
            hangup,
            signals,
            executions: services.executions,
            answering: services.answers.answering,
            fronts,
            engine,
            tasks,
            backends,
            observer,
        };
        app.tell(config);
        Ok(app)
    }

    /// Logs that it serves, and where.
    fn tell(&self, config: &Config) {
        let BackendNames { database, schema, brokers } = &self.backends.about;
        tracing::info!(
            release = env!("CARGO_PKG_VERSION"),
            schema,
            database,
            brokers,
            grpc = %self.addr,
            http = self.http_addr.map(tracing::field::display),
            metrics = self.metrics_addr.map(tracing::field::display),
            health = config.health_addr.map(tracing::field::display),
            "serving"
        );
    }

    /// The model of requests that name none; absent where each request must name one.
    #[must_use]
    pub fn default_model(&self) -> Option<&ModelRef> {
        self.executions.default_model.as_ref()
    }

    /// Where the HTTP front is, as a URL; absent where it is off.
    #[must_use]
    pub fn http_url(&self) -> Option<String> {
        let scheme = if self.fronts.certificates.is_some() { "https" } else { "http" };
        self.http_addr.map(|addr| format!("{scheme}://{addr}"))
    }

    /// Fires when the drain begins.
    #[must_use]
    pub fn draining(&self) -> CancellationToken {
        self.engine.drain.refuse.clone()
    }

    /// Serves until a signal asks the process to end, then shuts down within SHUTDOWN_GRACE. An error where the server
    /// or a background task ended by itself.
    pub async fn until_signal(self) -> Result<(), StartError> {
        self.until(std::future::pending()).await
    }

    /// As [`App::until_signal`], or until this ends.
    pub async fn until(mut self, end: impl Future<Output = ()>) -> Result<(), StartError> {
        let mut end = std::pin::pin!(end);
        let asked = loop {
            tokio::select! {
                () = &mut end => break Ok(()),
                asked = self.signals.next() => match (asked, self.hangup, &self.fronts.certificates) {
                    (SignalRequest::End, ..) | (SignalRequest::Reload, Hangup::Ends, _) => break Ok(()),
                    (SignalRequest::Reload, Hangup::Reloads, Some(certificates)) => {
                        // In a task of its own: a file system that hangs must not delay the shutdown.
                        drop(tokio::spawn(Arc::clone(certificates).reload_as_asked()));
                    }
                    (SignalRequest::Reload, Hangup::Reloads, None) => {
                        tracing::info!("SIGHUP: without TLS_CERT there is no certificate to reload");
                    }
                },
                ended = self.tasks.ended() => break Err(ended.into()),
                ended = &mut self.fronts.serving => {
                    ended??;
                    return Err("the server stopped by itself".into());
                }
            }
        };
        let began = Instant::now();
        let wait = self.grace - abort_before_end(self.grace);
        tracing::info!(?wait, grace = ?self.grace, "shutting down: calls have `wait` to end; a second signal aborts them");
        self.stop().await;
        tracing::info!(took = ?began.elapsed(), "shut down");
        asked
    }

    /// The drain, in order: refuse new calls, finish or abort those under way, send their answers, close connections,
    /// stop background tasks, close the brokers, close the store.
    async fn stop(mut self) {
        let soon = |end: tokio::time::Instant| end.min(tokio::time::Instant::now() + CLOSING);
        self.fronts.health.drain().await;
        let hurry = async {
            self.signals.asked_to_end().await;
            tracing::warn!("a second signal: calls are aborted");
        };
        let mut end = self.engine.finish(self.grace, hurry).await;
        // What follows needs time of its own.
        let answered_by = (end - 2 * CLOSING).min(tokio::time::Instant::now() + LAST_ANSWERS);
        tokio::select! {
            _ = timeout_at(answered_by, self.answering.taken()) => {}
            () = self.signals.asked_to_end() => {
                tracing::warn!("a second signal: answers that were not read yet are cut");
                end = end.min(tokio::time::Instant::now() + HURRIED);
            }
        }
        self.fronts.calls_ended.cancel();
        let abort = self.fronts.serving.abort_handle();
        if timeout_at(soon(end), self.fronts.serving).await.is_err() {
            abort.abort();
        }
        self.engine.drain.stop.cancel();
        // `stop` ends the attempts whose writes are still being retried; they log what is lost.
        let _ = timeout_at(soon(end), self.engine.running.wait()).await;
        self.tasks.stop(soon(end)).await;
        let told = futures::future::join(self.executions.hints.close(), self.engine.announcements.close());
        let _ = timeout_at(soon(end), told).await;
        let _ = timeout_at(soon(end), self.backends.brokers.connections.close()).await;
        let store = async {
            if timeout_at(end, self.backends.store.close()).await.is_err() {
                tracing::warn!("the store was not closed in time; what was answered is durable all the same");
            }
        };
        // Beside the store, which may take all that is left.
        let _ = futures::future::join(store, timeout_at(end, self.observer.close())).await;
    }
}
