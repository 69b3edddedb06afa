//! Composes a server, and orders its start and its shutdown.

mod background;
mod embedded;
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
use prompt_ledger_health::{HealthListener, Monitor};
use prompt_ledger_observe::Observer;
use prompt_ledger_observe::front::DoorLabel;
use prompt_ledger_runtime::config::Config;
use prompt_ledger_runtime::drain::{Drain, SignalRequest, Signals, abort_before_end};
use prompt_ledger_runtime::tasks::Tasks;
use prompt_ledger_store::ProcessKind;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use self::role::{Hangup, Role};
use self::routes::Front;
use crate::front::answers::Answers;
use crate::grpc::status;
use crate::net::serve::{Ending, serve};
use crate::net::tls::{ALPN_H2, ALPN_HTTP_1, Certificates};
use crate::service::ExecutionService;
use crate::watch::Hub;

/// The services whose health follows the database, by their full names; the empty name is the server as a whole.
const SERVICES: &[&str] = &[
    "",
    "promptledger.v1.RegistryService",
    "promptledger.v1.ExecutionService",
    "promptledger.v1.CodeRegistrationService",
    "promptledger.v1.AnalyticsService",
];

/// The most that each step of the shutdown may take once the work is done: connections, tasks, brokers.
const CLOSING: Duration = Duration::from_millis(500);

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
    certificates: Option<Arc<Certificates>>,
    health: Monitor,
    executions: Arc<ExecutionService>,
    serving: JoinHandle<Result<(), StartError>>,
    /// Fired in the drain, once the calls under way have ended.
    calls_ended: CancellationToken,
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
        let listener = listener::listen(addr).await?;
        let addr = listener.local_addr()?;
        let certificates = listener::certificates(&config.server)?;
        let http_listener = listener::listen_http(config.http.addr).await?;
        let http_addr = http_listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let limit = listener::connection_limit(config);
        let accept = |listener, protocols: &[&[u8]], door| {
            listener::incoming(config, listener, certificates.as_ref(), protocols, limit.clone(), door)
        };
        let incoming = accept(listener, &[ALPN_H2], DoorLabel::Grpc)?;
        let accept_http = |listener| accept(listener, &[ALPN_H2, ALPN_HTTP_1], DoorLabel::Http);
        let http_incoming = http_listener.map(accept_http).transpose()?;
        let told_apart = match config.health_addr {
            Some(addr) => Some(HealthListener::bind(addr).await?),
            None => None,
        };
        // Before anything is done that is noted, and after all addresses that are configured: its default gives way.
        let mut observer = Observer::start(&config.observe, "prompt-ledger", &process).await?;
        let metrics_addr = observer.addr();

        let (store, bus, execution) = (&backends.store, &backends.brokers.bus, &config.execution);
        let (drain, mut tasks, answers) = (Drain::new(), Tasks::default(), Answers::new(&status::FORM));
        let (hub, hub_work) = Hub::new(store.clone());
        let events = Some(Arc::clone(&hub) as _);
        let engine = Engine::start(process, store.clone(), bus, events, execution, &drain, &mut tasks)?;
        let is_loopback = addr.ip().is_loopback() && http_addr.is_none_or(|addr| addr.ip().is_loopback());
        let (services, caches) = services::services(config, role, is_loopback, &backends, &engine, Arc::clone(&hub));
        let front = Front::new(config, &services, &engine, answers.clone());
        let (routes, reporter) = front.grpc()?;
        let health = Monitor::new(reporter.clone(), SERVICES).await;
        let router = front.http(health.clone());

        let stop = || drain.stop.clone();
        let (texts, announcements) = (engine.runner.texts.clone(), engine.announcements.clone());
        tasks.spawn("metrics", observer.serve(stop()));
        tasks.spawn("watch hub", hub.run(hub_work, texts, announcements, bus.listen(), stop()));
        tasks.spawn("project heads", Arc::clone(&services.heads).run(bus.listen(), stop()));
        tasks.spawn("cache refresh", caches.run(stop()));
        tasks.spawn("unread answers", answers.run(stop()));
        tasks.spawn_on_thread("health monitor", health.clone().watch(store.clone(), drain.refuse.clone()))?;
        if let Some(listener) = told_apart {
            tasks.spawn("health listener", listener.serve(reporter, stop()));
        }
        if let Some(certificates) = certificates.clone() {
            tasks.spawn("certificate reload", certificates.watch(config.server.tls_reload_interval, stop()));
        }
        let kind = match role {
            Role::Embedded => ProcessKind::Dev,
            Role::Production => ProcessKind::Server,
        };
        engine.announce(store.clone(), kind, &backends.providers, &mut tasks).await;
        // Not before: the queue's limit is shared among the servers that have told that they run.
        services.executions.backpressure.measure(&*services.executions.reader).await;
        background::spawn(execution, store, &engine, &services, &mut tasks);
        if role == Role::Embedded {
            engine.take_queued(Arc::clone(&backends.brokers.queue), backends.providers.clone(), execution, &mut tasks);
        }
        let refuse = drain.refuse.clone();
        let ending = Ending { draining: refuse.clone(), ended: CancellationToken::new() };
        let calls_ended = ending.ended.clone();
        let (max_streams, header_timeout) = (config.server.max_streams, config.server.request_read_timeout);
        let serving = tokio::spawn(async move {
            let grpc = routes.serve_with_incoming_shutdown(incoming, refuse.cancelled_owned());
            let http = async {
                if let Some(incoming) = http_incoming {
                    serve(incoming, router, max_streams, header_timeout, ending).await;
                }
                Ok(())
            };
            tokio::try_join!(grpc, http)?;
            Ok(())
        });
        let BackendNames { database, schema, brokers } = backends.about;
        tracing::info!(
            release = env!("CARGO_PKG_VERSION"),
            schema,
            database,
            brokers,
            grpc = %addr,
            http = http_addr.map(tracing::field::display),
            metrics = metrics_addr.map(tracing::field::display),
            health = config.health_addr.map(tracing::field::display),
            "serving"
        );
        let (grace, executions) = (config.server.shutdown_grace, services.executions);
        Ok(Self {
            addr,
            http_addr,
            metrics_addr,
            grace,
            hangup,
            signals,
            certificates,
            health,
            executions,
            serving,
            calls_ended,
            engine,
            tasks,
            backends,
            observer,
        })
    }

    /// The model of requests that name none; absent where each request must name one.
    #[must_use]
    pub fn default_model(&self) -> Option<&ModelRef> {
        self.executions.default_model.as_ref()
    }

    /// Where the HTTP front is, as a URL; absent where it is off.
    #[must_use]
    pub fn http_url(&self) -> Option<String> {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        self.http_addr.map(|addr| format!("{scheme}://{addr}"))
    }

    /// Serves until a signal asks the process to end, then shuts down within SHUTDOWN_GRACE. An error where the server
    /// or a background task ended by itself.
    pub async fn until_signal(mut self) -> Result<(), StartError> {
        let asked = loop {
            tokio::select! {
                asked = self.signals.next() => match (asked, self.hangup, &self.certificates) {
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
                ended = &mut self.serving => {
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

    /// The drain, in order: refuse new calls, finish or abort those under way, close connections, stop background
    /// tasks, close the brokers, close the store.
    async fn stop(mut self) {
        let soon = |end: tokio::time::Instant| end.min(tokio::time::Instant::now() + CLOSING);
        self.health.serving(false).await;
        let hurry = async {
            self.signals.asked_to_end().await;
            tracing::warn!("a second signal: calls are aborted");
        };
        let end = self.engine.finish(self.grace, hurry).await;
        self.calls_ended.cancel();
        let abort = self.serving.abort_handle();
        if timeout_at(soon(end), self.serving).await.is_err() {
            abort.abort();
        }
        self.engine.drain.stop.cancel();
        // `stop` ends the attempts whose writes are still being retried; they log what is lost.
        let _ = timeout_at(soon(end), self.engine.running.wait()).await;
        self.tasks.stop(soon(end)).await;
        let told = futures::future::join(self.executions.hints.close(), self.engine.announcements.close());
        let _ = timeout_at(soon(end), told).await;
        let _ = timeout_at(soon(end), self.backends.brokers.connections.close()).await;
        if timeout_at(end, self.backends.store.close()).await.is_err() {
            tracing::warn!("the store was not closed in time; what was answered is durable all the same");
        }
        let _ = timeout_at(soon(end), self.observer.close()).await;
    }
}
