//! One connection to a server, and what can be done over it.

use std::fmt;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::analytics_service_client::AnalyticsServiceClient;
use prompt_ledger_proto::v1::code_registration_service_client::CodeRegistrationServiceClient;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use tonic::service::interceptor::InterceptedService;

use crate::following::WatchTimeouts;
use crate::options::{Connection, Options, OptionsError};
use crate::tail::Tail;
use crate::watch::Updates;

/// A client of one server. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct Client {
    url: String,
    connection: Connection,
    pace: WatchTimeouts,
}

impl Client {
    /// A client of that server. The connection comes about with the first call, and again when it breaks. Needs a tokio
    /// runtime around it.
    ///
    /// # Errors
    /// When the options cannot be used. Whether the server is there, the first call tells.
    pub fn connect(options: Options) -> Result<Self, OptionsError> {
        let credentials = options.credentials()?;
        let channel = options.endpoint()?.connect_lazy();
        let pace = WatchTimeouts { patience: options.patience, silence: options.silence };
        Ok(Self { url: options.url, connection: InterceptedService::new(channel, credentials), pace })
    }

    /// Registering, reading and changing prompts.
    #[must_use]
    pub fn registry(&self) -> RegistryServiceClient<Connection> {
        RegistryServiceClient::new(self.connection.clone())
    }

    /// Executing, reading and canceling; for watching use [`Client::watch`], [`Client::stream`] and [`Client::tail`].
    #[must_use]
    pub fn executions(&self) -> ExecutionServiceClient<Connection> {
        ExecutionServiceClient::new(self.connection.clone())
    }

    /// Prompts that live in code.
    #[must_use]
    pub fn code_registration(&self) -> CodeRegistrationServiceClient<Connection> {
        CodeRegistrationServiceClient::new(self.connection.clone())
    }

    /// Counts, latencies and costs.
    #[must_use]
    pub fn analytics(&self) -> AnalyticsServiceClient<Connection> {
        AnalyticsServiceClient::new(self.connection.clone())
    }

    /// Watches an execution from its beginning to its end.
    #[must_use]
    pub fn watch(&self, execution_id: impl Into<String>) -> Updates {
        self.watch_after(execution_id, 0)
    }

    /// Watches an execution from behind a sequence to its end: that of the last [`Update::State`](crate::Update::State)
    /// that is known already.
    #[must_use]
    pub fn watch_after(&self, execution_id: impl Into<String>, sequence: i64) -> Updates {
        Updates::of(self.executions(), execution_id.into(), sequence, self.pace)
    }

    /// Executes a prompt and watches it. With an idempotency key it is gone on with where the connection breaks, and
    /// also when the watch is dropped; without one, both cancel it.
    #[must_use]
    pub fn stream(&self, spec: v1::ExecutionSpec) -> Updates {
        Updates::begin(self.executions(), spec, self.pace)
    }

    /// Watches all executions that match, without end.
    #[must_use]
    pub fn tail(&self, filter: v1::WatchExecutionsRequest) -> Tail {
        Tail::of(self.executions(), filter, self.pace)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}
