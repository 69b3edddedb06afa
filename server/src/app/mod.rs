//! The one place that chooses: which store, which brokers, which providers, which limits; and the order of start and
//! end.

mod embedded;
mod production;
mod routes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prompt_ledger_backends::{BrokerConnections, Brokers, DataDirLock};
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_engine::{CancelListener, EventPublisher, Heartbeat, Runner, Texts, Worker};
use prompt_ledger_providers::Providers;
use prompt_ledger_queue::{Announcement, Hint, Outbox};
use prompt_ledger_runtime::config::Config;
use prompt_ledger_runtime::drain::{Drain, SignalRequest, Signals};
use prompt_ledger_runtime::tasks::Tasks;
use prompt_ledger_runtime::thread;
use prompt_ledger_store::Store;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic_health::server::HealthReporter;

pub(crate) use self::routes::serving;
use crate::grpc::answers::Answers;
use crate::grpc::gate::Rules;
use crate::grpc::receive::Intake;
use crate::grpc::registry::RegistryApi;
use crate::net::limit::ConnectionLimit;
use crate::net::tls::{ALPN_H2, Certificates};
use crate::net::{Incoming, descriptors};
use crate::service::cache::Freshness;
use crate::service::execution::Backpressure;
use crate::service::refresh::{Confirm, Refresh};
use crate::service::{AnalyticsService, Authenticator, CpuPool, ExecutionService, ModelService, RegistryService};
use crate::sweeper::Sweeper;
use crate::watch::{Hub, StreamLimits};
use crate::{health_monitor, rollup_job};

/// How long connections may take to close once all work is done.
const CLOSING: Duration = Duration::from_millis(500);

pub use prompt_ledger_backends::StartError;

/// A server that is serving.
pub struct App {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Of a request that names none.
    pub default_model: Option<ModelRef>,
    grace: Duration,
    drain: Drain,
    signals: Signals,
    hangup: Hangup,
    certificates: Option<Arc<Certificates>>,
    health: HealthReporter,
    executions: Arc<ExecutionService>,
    store: Arc<dyn Store>,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
    tasks: Tasks,
    /// Fires when the thread of heartbeats and health has ended.
    heartbeats: CancellationToken,
    outboxes: (Outbox<Hint>, Outbox<Announcement>),
    /// Ends after everything that tells or is told.
    brokers: BrokerConnections,
    /// Held while the folder is ours.
    _lock: Option<DataDirLock>,
}

/// What SIGHUP asks of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hangup {
    /// To read its certificate again.
    Reloads,
    /// To end: its terminal was closed.
    Ends,
}

/// What a server is made of, chosen by the command.
struct AppParts {
    /// Of this process, in attempts and in the brokers.
    name: String,
    listener: TcpListener,
    store: Arc<dyn Store>,
    brokers: Brokers,
    providers: Providers,
    default_model: Option<ModelRef>,
    /// Other processes write to the store too: nothing is answered from a cache without a look at it.
    shared: bool,
    /// The development key is taken, while this listens on loopback.
    development_key: bool,
    /// Queued executions run in this process.
    works: bool,
    hangup: Hangup,
    lock: Option<DataDirLock>,
}

impl App {
    async fn start(config: &Config, parts: AppParts) -> Result<Self, StartError> {
        let AppParts {
            name,
            listener,
            store,
            brokers,
            providers,
            default_model,
            shared,
            development_key,
            works,
            hangup,
            lock,
        } = parts;
        // From here on a signal ends nothing by itself.
        let signals = Signals::listen()?;
        let Brokers { queue, bus, connections } = brokers;
        let addr = listener.local_addr()?;
        let drain = Drain::new();
        let running = TaskTracker::new();
        let hints = Outbox::hints(Arc::clone(&queue));
        let announcements = Outbox::announcements(Arc::clone(&bus));

        let freshness = Arc::new(if shared { Freshness::confirmed() } else { Freshness::default() });
        let cpu = CpuPool::default();
        let (confirm, asked) = Confirm::new();
        let development_key = development_key && addr.ip().is_loopback();
        let gatekeeper = Authenticator::new(store.clone(), &freshness, config.server.api_key.as_ref(), development_key)
            .confirming(shared.then_some(confirm));
        let gatekeeper = Arc::new(gatekeeper);
        let registry = Arc::new(RegistryService::new(store.clone(), &freshness, cpu.clone()));
        let models = Arc::new(ModelService::new(store.clone(), providers.clone(), &freshness));
        let heartbeat = Heartbeat::new(store.clone(), config.execution.lease);
        let hub = Hub::new(store.clone());
        let streams = StreamLimits::new(config.watch.clone(), drain.refuse.clone());
        let publisher = EventPublisher::new(announcements.clone()).with(hub.clone());
        let texts = Texts::new(publisher.clone());
        let backpressure =
            Arc::new(Backpressure::new(config.server.max_inflight_submits, config.server.queue_depth_limit));
        let runner = Runner {
            store: store.clone(),
            heartbeat: heartbeat.clone(),
            policy: config.execution.retry.clone(),
            worker: name,
            publisher: publisher.clone(),
            texts: texts.clone(),
            abort: drain.abort.clone(),
            stop: drain.stop.clone(),
        };
        let executions = Arc::new(ExecutionService {
            registry: Arc::clone(&registry),
            cpu,
            models: Arc::clone(&models),
            providers: providers.clone(),
            store: store.clone(),
            reader: store.clone(),
            runner: runner.clone(),
            hints: hints.clone(),
            redispatch_after: config.execution.redispatch_after,
            backpressure: Arc::clone(&backpressure),
            hub: hub.clone(),
            streams: streams.clone(),
            running: running.clone(),
            default_model: default_model.clone(),
        });
        let refresh = Refresh {
            store: store.clone(),
            freshness,
            gatekeeper: Arc::clone(&gatekeeper),
            models: Arc::clone(&models),
            registry: Arc::clone(&registry),
        };
        let sweeper = Sweeper {
            store: store.clone(),
            publisher,
            lease: config.execution.lease,
            interval: config.execution.sweep_interval,
        };
        let analytics = Arc::new(AnalyticsService::new(store.clone()));
        let cancels = CancelListener { store: store.clone(), heartbeat: heartbeat.clone(), announced: bus.listen() };

        let answers = Answers::default();
        let rules = Rules {
            gatekeeper,
            reflection: config.server.reflection,
            answers: answers.clone(),
            draining: drain.refuse.clone(),
            running: running.clone(),
            intake: Arc::new(Intake::new(config.server.request_buffer, config.server.request_read_timeout)),
        };
        let served = RegistryApi { registry, models, analytics: Arc::clone(&analytics) };
        let certificates = config.server.tls.as_ref().map(Certificates::load).transpose()?.map(Arc::new);
        let tls = certificates.as_ref().map(|certificates| certificates.acceptor(&[ALPN_H2])).transpose()?;
        let (routes, health) = routes::routes(&config.server, rules, served, &executions, analytics)?;
        serving(&health, true).await;

        let beating = heartbeat.run(drain.stop.clone());
        let monitoring = health_monitor::run(store.clone(), health.clone(), drain.refuse.clone());
        let heartbeats = thread::spawn("heartbeats", async { _ = futures::join!(beating, monitoring) })?;
        let stop = || drain.stop.clone();
        let mut tasks = Tasks::default();
        tasks.spawn("heartbeats and health monitor", heartbeats.clone().cancelled_owned());
        tasks.spawn("cancel listener", cancels.run(stop()));
        tasks.spawn("sweeper", sweeper.run(stop()));
        tasks.spawn("rollup job", rollup_job::run(store.clone(), stop()));
        tasks.spawn("backpressure", backpressure.run(store.clone(), stop()));
        tasks.spawn("watch hub", hub.run(texts.clone(), announcements.clone(), bus.listen(), stop()));
        tasks.spawn("text requests", texts.run(bus.listen(), stop()));
        tasks.spawn("stream limits", streams.run(stop()));
        tasks.spawn("unread answers", answers.run(stop()));
        match shared {
            true => tasks.spawn("cache refresh", refresh.confirm(asked, stop())),
            false => tasks.spawn("cache refresh", refresh.run(stop())),
        }
        if works {
            let worker = Worker {
                runner,
                queue,
                providers,
                concurrency: config.execution.worker_concurrency,
                sweep_interval: config.execution.sweep_interval,
                running,
            };
            tasks.spawn("worker", worker.run(drain.refuse.clone()));
        }

        if let Some(certificates) = certificates.clone() {
            tasks.spawn("certificate reload", certificates.watch(config.server.tls_reload_interval, stop()));
        }
        let fit =
            descriptors::connections_that_fit(config.server.max_connections, config.backends.database_connections);
        let limit = ConnectionLimit::new(fit, config.server.max_connections_per_address);
        let incoming = Incoming::new(listener, tls, limit, config.server.handshake_timeout);
        let refuse = drain.refuse.clone();
        let serving =
            tokio::spawn(async move { routes.serve_with_incoming_shutdown(incoming, refuse.cancelled_owned()).await });
        Ok(Self {
            addr,
            default_model,
            grace: config.server.shutdown_grace,
            drain,
            signals,
            hangup,
            certificates,
            health,
            executions,
            store,
            serving,
            tasks,
            heartbeats,
            outboxes: (hints, announcements),
            brokers: connections,
            _lock: lock,
        })
    }

    /// Serves until the process is asked to end, then ends within the grace.
    pub async fn until_signal(mut self) -> Result<(), StartError> {
        let asked = loop {
            tokio::select! {
                asked = self.signals.next() => match (asked, self.hangup, &self.certificates) {
                    (SignalRequest::End, ..) | (SignalRequest::Reload, Hangup::Ends, _) => break Ok(()),
                    (SignalRequest::Reload, Hangup::Reloads, Some(certificates)) => {
                        // Apart: a file system that hangs must not hold up the end of the process.
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
        tracing::info!(grace = ?self.grace, "shutting down");
        self.stop().await;
        tracing::info!(took = ?began.elapsed(), "shut down");
        asked
    }

    /// The drain, in order: nothing new, calls aborted when their time is over, connections, background, brokers, store.
    async fn stop(self) {
        serving(&self.health, false).await;
        self.executions.running.close();
        let end = self.drain.begin(self.grace, self.executions.running.wait()).await;
        let written = self.executions.running.wait();
        let _ = tokio::time::timeout_at(end - self.grace / 10, written).await;
        let abort = self.serving.abort_handle();
        if tokio::time::timeout_at(end.min(tokio::time::Instant::now() + CLOSING), self.serving).await.is_err() {
            abort.abort();
        }
        self.drain.stop.cancel();
        // Writes that are given up now say so.
        let given_up = futures::future::join(self.executions.running.wait(), self.heartbeats.cancelled());
        let _ = tokio::time::timeout_at(end.min(tokio::time::Instant::now() + CLOSING), given_up).await;
        self.tasks.stop(end.min(tokio::time::Instant::now() + CLOSING)).await;
        let (hints, announcements) = self.outboxes;
        let told = futures::future::join(hints.close(), announcements.close());
        let _ = tokio::time::timeout_at(end.min(tokio::time::Instant::now() + CLOSING), told).await;
        let _ = tokio::time::timeout_at(end.min(tokio::time::Instant::now() + CLOSING), self.brokers.close()).await;
        if tokio::time::timeout_at(end, self.store.close()).await.is_err() {
            tracing::warn!("the store was not closed in time; what was answered is durable all the same");
        }
    }
}

/// Refuses what would show keys or prompts to a network: plain text off loopback unless that is meant.
fn check_exposure(config: &Config, addr: SocketAddr) -> Result<(), StartError> {
    if addr.ip().is_loopback() {
        return Ok(());
    }
    if config.server.tls.is_some() {
        return Ok(());
    }
    if !config.server.allow_plaintext {
        return Err(format!(
            "{addr} can be reached from other machines, and without TLS_CERT and TLS_KEY this server speaks plain text; \
             set them, listen on 127.0.0.1, or set ALLOW_PLAINTEXT=true where something in front of it speaks TLS"
        )
        .into());
    }
    tracing::warn!(%addr, "serving plain text off loopback, as ALLOW_PLAINTEXT says");
    Ok(())
}

async fn listen(addr: SocketAddr) -> Result<TcpListener, StartError> {
    Ok(TcpListener::bind(addr).await.map_err(|error| format!("cannot listen on {addr}: {error}"))?)
}
