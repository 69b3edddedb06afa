//! What this process and a server are both made of, chosen by the configuration. Beside the server's own `app` this is
//! the only place that names a concrete backend.

use std::sync::Arc;

use prompt_ledger_providers::anthropic::Anthropic;
use prompt_ledger_providers::echo::Echo;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_providers::{BodyBudget, Endpoint, Providers};
use prompt_ledger_queue::failover::Failover;
use prompt_ledger_queue::memory::{MemoryBus, MemoryQueue};
use prompt_ledger_queue::rabbit::Rabbit;
use prompt_ledger_queue::redis::Redis;
use prompt_ledger_queue::{Broker, Bus, Queue};
use prompt_ledger_runtime::config::{self, Config, ProviderConfig};
use prompt_ledger_store_postgres::{Postgres, PostgresOptions};
use tokio_util::sync::CancellationToken;

/// Why a process cannot start.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// Every provider that a process knows: a line each.
pub fn providers(config: &Config) -> Result<Providers, StartError> {
    let ProviderConfig { openai, anthropic } = &config.providers;
    let bodies = BodyBudget::default();
    let place = |at: &config::ProviderEndpoint| Endpoint {
        api_key: at.api_key.clone(),
        base_url: at.base_url.clone(),
        bodies: bodies.clone(),
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

/// The production store: refuses a schema that does not fit this release.
pub async fn postgres(config: &Config) -> Result<Arc<Postgres>, StartError> {
    let place = config.backends.database.as_ref().ok_or(
        "DATABASE_URL is not set: production keeps everything in Postgres, e.g. \
         postgres://USER:PASSWORD@HOST:5432/ledger (`prompt-ledger dev` needs no database)",
    )?;
    let options = PostgresOptions { connections: config.backends.database_connections };
    let store = Postgres::open(place.expose(), options).await.map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("DATABASE_URL ({place}): {error}{cause}")
    })?;
    Ok(Arc::new(store))
}

/// What carries hints and announcements.
pub struct Brokers {
    /// Hints.
    pub queue: Arc<dyn Queue>,
    /// Announcements.
    pub bus: Arc<dyn Bus>,
    /// Ends with the process.
    pub connections: Connections,
}

/// The connections to brokers.
#[derive(Default)]
pub struct Connections {
    stop: CancellationToken,
    redis: Option<Arc<Redis>>,
    rabbit: Option<Arc<Rabbit>>,
}

impl Connections {
    /// Ends them in order: what this process has read and not claimed goes to others.
    pub async fn close(&self) {
        self.stop.cancel();
        if let Some(redis) = &self.redis {
            redis.closed().await;
        }
        if let Some(rabbit) = &self.rabbit {
            rabbit.closed().await;
        }
    }
}

impl Brokers {
    /// Hints and announcements within this process alone.
    #[must_use]
    pub fn memory() -> Self {
        let (queue, bus) = (Arc::new(MemoryQueue::new()), Arc::new(MemoryBus::new()));
        Self { queue, bus, connections: Connections::default() }
    }

    fn over(broker: Arc<impl Broker + 'static>, connections: Connections) -> Self {
        Self { queue: broker.clone(), bus: broker, connections }
    }
}

/// Redis with RabbitMQ behind it, or the one that is configured. With neither, queued executions are found by their time
/// alone. None of them need be there yet.
pub fn brokers(config: &Config, name: &str) -> Result<Brokers, StartError> {
    let (stop, prefix) = (CancellationToken::new(), &config.backends.broker_prefix);
    let redis = config.backends.redis.as_ref().map(|place| {
        Redis::connect(place.expose(), prefix, name, &stop).map_err(|error| format!("REDIS_URL ({place}): {error}"))
    });
    let rabbit = config.backends.amqp.as_ref().map(|place| {
        Rabbit::connect(place.expose(), prefix, &stop).map_err(|error| format!("AMQP_URL ({place}): {error}"))
    });
    let (redis, rabbit) = (redis.transpose()?.map(Arc::new), rabbit.transpose()?.map(Arc::new));
    let connections = Connections { stop: stop.clone(), redis: redis.clone(), rabbit: rabbit.clone() };
    Ok(match (redis, rabbit) {
        (Some(redis), Some(rabbit)) => Brokers::over(Arc::new(Failover::new(redis, rabbit, &stop)), connections),
        (Some(redis), None) => Brokers::over(redis, connections),
        (None, Some(rabbit)) => Brokers::over(rabbit, connections),
        (None, None) => {
            tracing::warn!(
                "neither REDIS_URL nor AMQP_URL is set: workers find queued executions only after REDISPATCH_AFTER"
            );
            Brokers::memory()
        }
    })
}
