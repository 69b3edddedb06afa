//! The subjects of the comparison: the model, called directly, and two set-ups of a server in front of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use prompt_ledger_testkit::ledger::{Builder, Connection, Ledger, spec};
use prompt_ledger_testkit::services::{self, Database, Postgres, Redis};

use super::direct::Direct;
use super::floor::Floor;
use super::load::{Times, closed_loop};
use super::main_job::{CONNECTIONS, connections};
use super::release::{FigureError, migrated, subject};

/// Duration of one round.
pub(super) const ROUND: Duration = Duration::from_secs(2);
const ANSWER: &str =
    "This is a fixed answer of some twenty words, so that each side has the same to carry and to keep.";

/// A server, and callers' connections to it.
pub(super) struct Setup {
    pub(super) name: &'static str,
    pub(super) server: Ledger,
    executions: Arc<[ExecutionServiceClient<Connection>]>,
    registry: Arc<[RegistryServiceClient<Connection>]>,
    _database: Option<Database>,
}

impl Setup {
    async fn of(name: &'static str, server: Ledger, database: Option<Database>) -> Result<Self, FigureError> {
        server.active("greet", "Say hello to {{name}}.").await;
        let connections = connections(&server.addr, &server.key).await?;
        let executions = connections.iter().cloned().map(ExecutionServiceClient::new).collect();
        let registry = connections.into_iter().map(RegistryServiceClient::new).collect();
        Ok(Self { name, server, executions, registry, _database: database })
    }

    pub(super) async fn dev(binaries: &Path, model: &FakeModel, env: &[(&str, &str)]) -> Result<Self, FigureError> {
        let builder = subject(binaries.join("prompt-ledger")).openai(&model.base_url()).env("LOG", "warn");
        Self::of("dev", with(builder, env).start().await, None).await
    }

    pub(super) async fn postgres(
        binaries: &Path,
        model: &FakeModel,
        postgres: &Postgres,
        redis: &Redis,
        env: &[(&str, &str)],
    ) -> Result<Self, FigureError> {
        let database = services::database_on(&postgres.url());
        let builder = subject(binaries.join("prompt-ledger"))
            .env("DATABASE_URL", database.url())
            .env("REDIS_URL", redis.url())
            .env("DEFAULT_MODEL", "openai/gpt-4o-mini")
            .env("LOG", "warn")
            .openai(&model.base_url())
            .serving();
        let builder = with(builder, env);
        migrated(&builder)?;
        Self::of("Postgres", builder.start().await, Some(database)).await
    }

    /// RunExecution in a closed loop.
    pub(super) async fn executions(&self, callers: usize, length: Duration) -> Result<Times, FigureError> {
        let clients = Arc::clone(&self.executions);
        closed_loop(callers, length, move |caller| {
            let mut client = clients[caller % CONNECTIONS].clone();
            let request = v1::RunExecutionRequest { spec: Some(spec("greet", &[("name", "Ada")])) };
            async move {
                let told = client.run_execution(request).await?.into_inner();
                match told.execution.is_some_and(|told| told.status() == v1::ExecutionStatus::Succeeded) {
                    true => Ok(()),
                    false => Err(FigureError::from("an execution did not succeed")),
                }
            }
        })
        .await
    }

    /// GetPrompt in a closed loop.
    pub(super) async fn prompts(&self, callers: usize, length: Duration) -> Result<Times, FigureError> {
        let clients = Arc::clone(&self.registry);
        closed_loop(callers, length, move |caller| {
            let mut client = clients[caller % CONNECTIONS].clone();
            let request = v1::GetPromptRequest { name: "greet".into(), min_revision: None };
            async move { client.get_prompt(request).await.map(|_| ()) }
        })
        .await
    }
}

fn with(builder: Builder, env: &[(&str, &str)]) -> Builder {
    env.iter().fold(builder, |builder, (name, value)| builder.env(name, *value))
}

pub(super) struct Bench {
    pub(super) model: FakeModel,
    pub(super) direct: Direct,
    pub(super) floor: Floor,
    pub(super) setups: [Setup; 2],
}

impl Bench {
    /// Sets the model's delay.
    pub(super) fn model_takes(&self, millis: u64) {
        self.model.otherwise(Reply::answer(ANSWER).delay(Duration::from_millis(millis)));
    }

    /// Direct calls in a closed loop.
    pub(super) async fn direct(&self, callers: usize, length: Duration) -> Result<Times, FigureError> {
        let direct = self.direct.clone();
        closed_loop(callers, length, move |caller| direct.clone().call(caller)).await
    }
}
