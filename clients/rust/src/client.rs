use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::analytics_service_client::AnalyticsServiceClient;
use prompt_ledger_proto::v1::code_registration_service_client::CodeRegistrationServiceClient;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use tonic::Request;
use tonic::service::interceptor::InterceptedService;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::cache_file::CacheFile;
use crate::call_preparation::Connection;
use crate::code_prompts::RegisteredHashes;
use crate::following::WatchTimeouts;
use crate::ledger_error::LedgerError;
use crate::options::{ClientKey, Options, OptionsError};
use crate::prompt_cache::PromptCache;
use crate::tail::Tail;
use crate::watch::Updates;

/// A client of one server. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct Client {
    url: String,
    /// As it was asked for; absent: the key's own.
    project: Option<String>,
    api_key: ClientKey,
    connection: Connection,
    pace: WatchTimeouts,
    timeout: Duration,
    registered: Arc<Mutex<RegisteredHashes>>,
}

impl Client {
    /// A client of the server at `options.url`. It connects with the first call, and again when the connection breaks.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the options are invalid. Whether the server is reachable is known only after the first call.
    pub fn connect(options: Options) -> Result<Self, OptionsError> {
        let preparation = options.preparation()?;
        let channel = options.endpoint()?.connect_lazy();
        let pace = WatchTimeouts { patience: options.patience, silence: options.silence };
        let Options { url, project, api_key, timeout, .. } = options;
        let connection = InterceptedService::new(channel, preparation);
        Ok(Self { url, project, api_key, connection, pace, timeout, registered: Arc::default() })
    }

    /// A client of the server that the environment names, see [`Options::from_environment`]. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    ///
    /// When what the environment says is invalid. Whether the server is reachable is known only after the first call.
    pub fn from_environment() -> Result<Self, OptionsError> {
        Self::connect(Options::from_environment()?)
    }

    /// The deadline of calls that answer once, executions apart.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn registered(&self) -> &Mutex<RegisteredHashes> {
        &self.registered
    }

    /// The generated client of the registry, for what [`Client::prompts`] does not have. To watch prompts, use
    /// [`Client::prompt_cache`] instead, which resumes. It has no deadlines, and repeats nothing.
    #[must_use]
    pub fn registry(&self) -> RegistryServiceClient<Connection> {
        RegistryServiceClient::new(self.connection.clone())
    }

    /// The generated client of executions, for what [`Client::run`], [`Client::submit`] and handles do not have. To watch, use
    /// [`Client::watch`], [`Client::stream`] and [`Client::tail`] instead, which resume. It has no deadlines, and repeats
    /// nothing.
    #[must_use]
    pub fn executions(&self) -> ExecutionServiceClient<Connection> {
        ExecutionServiceClient::new(self.connection.clone())
    }

    /// The generated client that registers prompts from code.
    #[must_use]
    pub fn code_registration(&self) -> CodeRegistrationServiceClient<Connection> {
        CodeRegistrationServiceClient::new(self.connection.clone())
    }

    /// The generated client of counts, latencies and costs.
    #[must_use]
    pub fn analytics(&self) -> AnalyticsServiceClient<Connection> {
        AnalyticsServiceClient::new(self.connection.clone())
    }

    /// Watches an execution from its first state to its end.
    #[must_use]
    pub fn watch(&self, execution_id: impl Into<String>) -> Updates {
        self.watch_after(execution_id, 0)
    }

    /// Watches an execution to its end, without the states up to `sequence`: the sequence of the last
    /// [`Update::State`](crate::Update::State) that is known; 0 for none.
    #[must_use]
    pub fn watch_after(&self, execution_id: impl Into<String>, sequence: i64) -> Updates {
        Updates::of(self.connection.clone(), execution_id.into(), sequence, self.pace)
    }

    /// Executes a prompt and watches it. With an idempotency key, the execution goes on when the connection breaks or
    /// the watch is dropped; without one, both cancel it.
    #[must_use]
    pub fn stream(&self, spec: v1::ExecutionSpec) -> Updates {
        self.begin(spec, v1::PromptMode::Full)
    }

    /// Executes a prompt of this mode and watches it.
    pub(crate) fn begin(&self, spec: v1::ExecutionSpec, mode: v1::PromptMode) -> Updates {
        Updates::begin(self.connection.clone(), spec, mode, self.pace)
    }

    /// Whether the server takes calls, by grpc.health.v1: it is neither shutting down nor without its database. Asked once,
    /// within [`Options::timeout`]; it needs no key.
    ///
    /// # Errors
    ///
    /// Where the server cannot be reached, or does not tell.
    pub async fn is_serving(&self) -> Result<bool, LedgerError> {
        let mut health = HealthClient::new(self.connection.clone());
        let mut request = Request::new(HealthCheckRequest::default());
        request.set_timeout(self.timeout);
        let answer = health.check(request).await?.into_inner();
        Ok(answer.status() == ServingStatus::Serving)
    }

    /// Watches all executions that match, without end.
    #[must_use]
    pub fn tail(&self, filter: v1::WatchExecutionsRequest) -> Tail {
        Tail::of(self.connection.clone(), filter, self.pace)
    }

    /// Keeps prompts in memory, always as they are in the ledger: those of `names`, also of such as do not exist yet, and
    /// those whose name begins with `name_prefix`; all of the project where there is neither. Must be called within a tokio
    /// runtime, in which the cache is fed until its last clone is dropped.
    #[must_use]
    pub fn prompt_cache(&self, names: Vec<String>, name_prefix: impl Into<String>) -> PromptCache {
        let filter = prompts(names, name_prefix.into());
        PromptCache::of(self.connection.clone(), filter, self.pace)
    }

    /// As [`Client::prompt_cache`], and keeps what it holds in a file of its own, which only the user of this process may read:
    /// the next process begins with that, and has its prompts also while the server is away. Everything is told anew once it
    /// is there.
    ///
    /// A file that is not there is none. One that is damaged, larger than 256 MiB, or was kept of other prompts, with another key, of
    /// another project or of another server, is ignored: [`PromptCache::file_failure`] says so. So once a key was replaced, the first
    /// process with the new one begins with nothing. The key is not written.
    pub async fn prompt_cache_kept_in(
        &self,
        file: impl Into<PathBuf>,
        names: Vec<String>,
        name_prefix: impl Into<String>,
    ) -> PromptCache {
        let filter = prompts(names, name_prefix.into());
        let project = self.project.as_deref().unwrap_or_default();
        let file = CacheFile::new(file.into(), &self.url, project, &self.api_key, &filter);
        PromptCache::kept_in(file, self.connection.clone(), filter, self.pace).await
    }
}

/// Selects these prompts, from the beginning.
fn prompts(mut names: Vec<String>, name_prefix: String) -> v1::WatchPromptsRequest {
    names.sort_unstable();
    names.dedup();
    v1::WatchPromptsRequest { names, name_prefix, after_revision: 0 }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}
