//! The one place that chooses: which store, which providers, which limits; and the order of start and end.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prompt_ledger_domain::limits;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_proto::v1::analytics_service_server::AnalyticsServiceServer;
use prompt_ledger_proto::v1::code_registration_service_server::CodeRegistrationServiceServer;
use prompt_ledger_proto::v1::execution_service_server::ExecutionServiceServer;
use prompt_ledger_proto::v1::registry_service_server::RegistryServiceServer;
use prompt_ledger_providers::anthropic::Anthropic;
use prompt_ledger_providers::echo::Echo;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_providers::{Endpoint, Providers};
use prompt_ledger_runtime::config::{self, Config, ProviderConfig, Reflection};
use prompt_ledger_runtime::drain::{self, Drain};
use prompt_ledger_store::sqlite::Sqlite;
use prompt_ledger_worker::{Heartbeat, Runner};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic_health::server::{HealthReporter, health_reporter};

use crate::grpc::analytics::Analytics;
use crate::grpc::code_registration::CodeRegistration;
use crate::grpc::execution::Execution;
use crate::grpc::gate::{Gate, Rules};
use crate::grpc::registry::Registry;
use crate::net::Incoming;
use crate::service::access::DEVELOPMENT_KEY;
use crate::service::cache::Freshness;
use crate::service::execution::ExecutionService;
use crate::service::refresh::Refresh;
use crate::service::{Gatekeeper, ModelService, RegistryService};
use crate::sweeper::Sweeper;
use crate::watch::finished::Finished;

/// The largest answer, encoded: an execution is under 3 MiB, a page about 2 MiB and one row more.
const RESPONSE_BYTES: usize = 8 * 1024 * 1024;
/// How long connections may take to close once all work is done.
const CLOSING: Duration = Duration::from_millis(500);

/// Why a process cannot start.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// A server that is serving.
pub struct App {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Of a request that names none.
    pub default_model: ModelRef,
    grace: Duration,
    drain: Drain,
    health: HealthReporter,
    executions: Arc<ExecutionService>,
    store: Arc<Sqlite>,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
    background: Vec<JoinHandle<()>>,
    _lock: std::fs::File,
}

/// The embedded store of a folder.
pub async fn open_store(data_dir: &Path) -> Result<Arc<Sqlite>, StartError> {
    Ok(Arc::new(Sqlite::open(&data_dir.join("ledger.db")).await?))
}

impl App {
    /// Starts the embedded default: everything in one process, kept in one folder.
    pub async fn start_embedded(config: &Config, addr: SocketAddr, data_dir: &Path) -> Result<Self, StartError> {
        if !addr.ip().is_loopback() && !config.server.allow_plaintext {
            return Err(format!(
                "{addr} can be reached from other machines, and this server speaks plain text; listen on 127.0.0.1, or \
                 set ALLOW_PLAINTEXT=true where something in front of it speaks TLS"
            )
            .into());
        }
        let api_key = config.server.api_key.as_ref();
        if !addr.ip().is_loopback() && api_key.is_some_and(|key| key.expose() == DEVELOPMENT_KEY) {
            return Err("API_KEY is the development key, which everyone knows; off loopback choose another".into());
        }
        let lock = lock(data_dir)?;
        let store = open_store(data_dir).await?;
        let listener = TcpListener::bind(addr).await.map_err(|error| format!("cannot listen on {addr}: {error}"))?;
        let addr = listener.local_addr()?;
        if !addr.ip().is_loopback() {
            tracing::warn!(%addr, "serving plain text off loopback, as ALLOW_PLAINTEXT says; the development key is off");
        }

        let drain = Drain::new();
        let running = TaskTracker::new();
        let freshness = Arc::new(Freshness::default());
        let gatekeeper = Arc::new(Gatekeeper::new(store.clone(), &freshness, api_key, addr.ip().is_loopback()));
        let registry = Arc::new(RegistryService::new(store.clone(), &freshness));
        let providers = providers(config)?;
        let models = Arc::new(ModelService::new(store.clone(), providers.clone(), &freshness));
        let heartbeat = Heartbeat::new(store.clone(), config.execution.lease);
        let finished = Finished::default();
        let default_model = default_model(config);
        let executions = Arc::new(ExecutionService {
            registry: Arc::clone(&registry),
            models: Arc::clone(&models),
            providers,
            store: store.clone(),
            runner: Runner {
                store: store.clone(),
                heartbeat: heartbeat.clone(),
                policy: config.execution.retry.clone(),
                worker: format!("server-{}", std::process::id()),
                abort: drain.abort.clone(),
            },
            finished: finished.clone(),
            running: running.clone(),
            default_model: Some(default_model.clone()),
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
            registry: store.clone(),
            finished,
            lease: config.execution.lease,
            interval: config.execution.sweep_interval,
        };
        let background = vec![
            tokio::spawn(heartbeat.run(drain.stop.clone())),
            tokio::spawn(refresh.run(drain.stop.clone())),
            tokio::spawn(sweeper.run(drain.stop.clone())),
        ];

        let rules = Rules { gatekeeper, reflection: config.server.reflection, draining: drain.refuse.clone(), running };
        let (health, health_service) = health_reporter();
        serving(&health, true).await;
        let (reflection_v1, reflection_v1alpha) = match config.server.reflection {
            Reflection::Off => (None, None),
            Reflection::Open | Reflection::Key => (Some(described().build_v1()?), Some(described().build_v1alpha()?)),
        };
        let routes = Server::builder()
            .max_concurrent_streams(config.server.max_streams)
            .initial_stream_window_size(1024 * 1024)
            .initial_connection_window_size(4 * 1024 * 1024)
            .http2_max_header_list_size(16 * 1024)
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .http2_keepalive_timeout(Some(Duration::from_secs(10)))
            .layer(Gate::new(rules))
            .add_service(limited(RegistryServiceServer::new(Registry { registry, models })))
            .add_service(limited(ExecutionServiceServer::new(Execution { service: Arc::clone(&executions) })))
            .add_service(limited(CodeRegistrationServiceServer::new(CodeRegistration)))
            .add_service(limited(AnalyticsServiceServer::new(Analytics)))
            .add_service(health_service)
            .add_optional_service(reflection_v1)
            .add_optional_service(reflection_v1alpha);
        let incoming = Incoming::new(listener, config.server.handshake_timeout);
        let refuse = drain.refuse.clone();
        let serving =
            tokio::spawn(async move { routes.serve_with_incoming_shutdown(incoming, refuse.cancelled_owned()).await });
        let grace = config.server.shutdown_grace;
        Ok(Self { addr, default_model, grace, drain, health, executions, store, serving, background, _lock: lock })
    }

    /// Serves until the process is asked to end, then ends within the grace.
    pub async fn until_signal(mut self) -> Result<(), StartError> {
        tokio::select! {
            signal = drain::signal() => signal?,
            ended = &mut self.serving => {
                ended??;
                return Err("the server stopped by itself".into());
            }
        }
        let began = Instant::now();
        tracing::info!(grace = ?self.grace, "shutting down");
        self.stop().await;
        tracing::info!(took = ?began.elapsed(), "shut down");
        Ok(())
    }

    /// The drain, in order: nothing new, calls aborted when their time is over, connections, background, store.
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
        for task in self.background {
            let _ = tokio::time::timeout_at(end, task).await;
        }
        if tokio::time::timeout_at(end, self.store.close()).await.is_err() {
            tracing::warn!("the store was not closed in time; what was answered is durable all the same");
        }
    }
}

macro_rules! limited {
    ($($server:ident,)*) => {$(
        impl<T> Limited for $server<T> {
            fn limited(self) -> Self {
                self.max_decoding_message_size(limits::REQUEST_BYTES).max_encoding_message_size(RESPONSE_BYTES)
            }
        }
    )*};
}

/// A service with bounds on its messages.
trait Limited {
    fn limited(self) -> Self;
}

limited! { RegistryServiceServer, ExecutionServiceServer, CodeRegistrationServiceServer, AnalyticsServiceServer, }

fn limited<T: Limited>(service: T) -> T {
    service.limited()
}

/// One process per folder: two would not see each other's writes at once.
fn lock(data_dir: &Path) -> Result<std::fs::File, StartError> {
    // For this user alone: prompts are nobody else's to read.
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir);
    made.map_err(|error| format!("cannot make {}: {error}", data_dir.display()))?;
    let path: PathBuf = data_dir.join("lock");
    let file = std::fs::File::create(&path).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    file.try_lock().map_err(|_| {
        format!("another Prompt Ledger runs on {}; stop it, or choose another --data-dir", data_dir.display())
    })?;
    Ok(file)
}

/// Every provider that this server knows: a line each.
fn providers(config: &Config) -> Result<Providers, StartError> {
    let ProviderConfig { openai, anthropic } = &config.providers;
    let place = |at: &config::Endpoint| Endpoint {
        api_key: at.api_key.clone(),
        base_url: at.base_url.clone(),
        ..Endpoint::default()
    };
    let known = Providers::new().with("echo", Arc::new(Echo));
    let known = match openai.is_configured() {
        true => known.with("openai", Arc::new(OpenAi::new(place(openai))?)),
        false => known.without("openai", "set OPENAI_API_KEY or OPENAI_BASE_URL"),
    };
    Ok(match anthropic.is_configured() {
        true => known.with("anthropic", Arc::new(Anthropic::new(place(anthropic))?)),
        false => known.without("anthropic", "set ANTHROPIC_API_KEY or ANTHROPIC_BASE_URL"),
    })
}

/// What an execution without a model uses: as configured, or OpenAI where it can be called, or the built-in echo.
fn default_model(config: &Config) -> ModelRef {
    let built_in = match config.providers.openai.is_configured() {
        true => ("openai", "gpt-4o-mini"),
        false => ("echo", "echo"),
    };
    let built_in = || ModelRef { provider: built_in.0.into(), model: built_in.1.into() };
    config.execution.default_model.clone().unwrap_or_else(built_in)
}

async fn serving(health: &HealthReporter, yes: bool) {
    let status = match yes {
        true => tonic_health::ServingStatus::Serving,
        false => tonic_health::ServingStatus::NotServing,
    };
    for service in [
        "",
        "promptledger.v1.RegistryService",
        "promptledger.v1.ExecutionService",
        "promptledger.v1.CodeRegistrationService",
        "promptledger.v1.AnalyticsService",
    ] {
        health.set_service_status(service, status).await;
    }
}

/// What reflection tells: the contract, health, and itself in both versions.
fn described() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(prompt_ledger_proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
        .include_reflection_service(false)
}
