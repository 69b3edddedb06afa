//! The brokers: Redis with RabbitMQ as its fallback, one of them alone, or the memory of this process.

use std::sync::Arc;

use prompt_ledger_domain::secret::Secret;
use prompt_ledger_queue::failover::Failover;
use prompt_ledger_queue::memory::{MemoryBus, MemoryQueue};
use prompt_ledger_queue::rabbit::{Rabbit, RabbitOptions};
use prompt_ledger_queue::redis::{Redis, RedisOptions};
use prompt_ledger_queue::{Broker, Bus, Queue, REQUEST_TIMEOUT};
use prompt_ledger_runtime::config::Config;
use tokio_util::sync::CancellationToken;

use crate::StartError;

pub struct Brokers {
    pub queue: Arc<dyn Queue>,
    pub bus: Arc<dyn Bus>,
    /// Must be closed after the last send and receive.
    pub connections: BrokerConnections,
}

#[derive(Default)]
pub struct BrokerConnections {
    stop: CancellationToken,
    redis: Option<Arc<Redis>>,
    rabbit: Option<Arc<Rabbit>>,
}

impl BrokerConnections {
    /// Closes them in order. Received hints that this process has not claimed are given back for other processes.
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
    /// Hints, of these provider instances, and announcements within this process only.
    pub(crate) fn memory(instances: Vec<String>) -> Self {
        let (queue, bus) = (Arc::new(MemoryQueue::new(instances)), Arc::new(MemoryBus::new()));
        Self { queue, bus, connections: BrokerConnections::default() }
    }

    /// Redis with RabbitMQ as its fallback, or the one that is configured; `consumer` is this process's consumer name,
    /// `instances` are the provider instances whose hints it may receive.
    /// With neither, workers find queued executions by `available_at` alone. The brokers need not be up: they are
    /// connected in the background.
    pub(crate) fn connect(config: &Config, consumer: &str, instances: &[String]) -> Result<Self, StartError> {
        let (stop, prefix) = (CancellationToken::new(), &config.backends.broker_prefix);
        // Executions are taken without a hint long before.
        let hint_age = 2 * config.execution.redispatch_after;
        let redis = config.backends.redis.as_ref().map(|url| {
            let options = RedisOptions {
                url: Secret::new(url.expose()),
                prefix: prefix.clone(),
                consumer: consumer.to_owned(),
                instances: instances.to_vec(),
                hint_age,
                request_timeout: REQUEST_TIMEOUT,
            };
            Redis::open(options, &stop).map_err(|error| format!("REDIS_URL ({url}): {error}"))
        });
        let rabbit = config.backends.amqp.as_ref().map(|url| {
            let options = RabbitOptions {
                url: Secret::new(url.expose()),
                prefix: prefix.clone(),
                instances: instances.to_vec(),
                hint_age,
                request_timeout: REQUEST_TIMEOUT,
            };
            Rabbit::open(options, &stop).map_err(|error| format!("AMQP_URL ({url}): {error}"))
        });
        let (redis, rabbit) = (redis.transpose()?.map(Arc::new), rabbit.transpose()?.map(Arc::new));
        let connections = BrokerConnections { stop: stop.clone(), redis: redis.clone(), rabbit: rabbit.clone() };
        Ok(match (redis, rabbit) {
            (Some(redis), Some(rabbit)) => Self::over(Arc::new(Failover::new(redis, rabbit, &stop)), connections),
            (Some(redis), None) => Self::over(redis, connections),
            (None, Some(rabbit)) => Self::over(rabbit, connections),
            (None, None) => {
                tracing::warn!(
                    "neither REDIS_URL nor AMQP_URL is set: workers find queued executions only after REDISPATCH_AFTER"
                );
                // No other process hears of them, and a server, which alone sends them, takes none itself.
                Self::memory(Vec::new())
            }
        })
    }

    /// Which of them are configured.
    pub(crate) fn names(config: &Config) -> &'static str {
        match (&config.backends.redis, &config.backends.amqp) {
            (Some(_), Some(_)) => "redis, rabbitmq",
            (Some(_), None) => "redis",
            (None, Some(_)) => "rabbitmq",
            (None, None) => "none",
        }
    }

    fn over(broker: Arc<impl Broker + 'static>, connections: BrokerConnections) -> Self {
        Self { queue: broker.clone(), bus: broker, connections }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use prompt_ledger_domain::ids::ExecutionId;
    use prompt_ledger_queue::Hint;
    use prompt_ledger_runtime::config::Process;

    use super::*;

    fn at_once<T>(future: impl Future<Output = T>) -> Poll<T> {
        let mut future = pin!(future);
        future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn without_brokers_no_hints_pile_up() {
        let config = Config::read(Process::Server, [], |_| None).unwrap();
        let brokers = Brokers::connect(&config, "server", &["echo".to_owned()]).unwrap();
        let execution_id = ExecutionId::parse("execution_id", "0197c2f0-0000-7000-8000-000000000001").unwrap();
        let hints = vec![Hint { execution_id, attempt: 1, provider: "echo".into() }; 256];
        // More than a queue in memory keeps.
        for _ in 0..401 {
            assert!(matches!(at_once(brokers.queue.send(&hints)), Poll::Ready(Ok(()))));
        }
        assert!(at_once(brokers.queue.receive(1)).is_pending());
    }
}
