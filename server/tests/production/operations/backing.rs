//! The services behind a section's ledger: those that all tests share, or private ones where the section takes them away.

use prompt_ledger_testkit::services::{self, Database, Postgres, Rabbit, Redis};

use super::document::OperatorSection;
use crate::kit::Deployment;

/// Fields are dropped in this order.
pub(super) struct Backing {
    pub(super) deployment: Deployment,
    /// That of the other ledger to which prompts are moved.
    pub(super) other: Database,
    database: Database,
    postgres: Option<Postgres>,
    redis: Option<Redis>,
    rabbit: Option<Rabbit>,
}

impl Backing {
    pub(super) async fn of(section: &OperatorSection) -> Self {
        let postgres = if section.has_event("the database is gone") { Some(Postgres::start().await) } else { None };
        let redis = if section.has_event("Redis is gone") { Some(Redis::start().await) } else { None };
        let rabbit = if section.has_event("RabbitMQ is gone") { Some(Rabbit::start().await) } else { None };
        let database = postgres.as_ref().map_or_else(services::database, |own| services::database_on(&own.url()));
        let redis_url = redis.as_ref().map_or_else(services::redis_url, Redis::url);
        let amqp_url = rabbit.as_ref().map_or_else(services::amqp_url, Rabbit::url);
        let (redis_url, amqp_url) = (Some(&*redis_url), Some(&*amqp_url));
        let deployment = match section.has_event("nothing is there yet") {
            true => Deployment::not_migrated(database.url(), redis_url, amqp_url).await,
            false => Deployment::on(database.url(), redis_url, amqp_url).await,
        };
        Self { deployment, other: services::database(), database, postgres, redis, rabbit }
    }

    pub(super) fn postgres(&mut self) -> &mut Postgres {
        self.postgres.as_mut().expect("the section has a Postgres of its own")
    }

    pub(super) fn redis(&mut self) -> &mut Redis {
        self.redis.as_mut().expect("the section has a Redis of its own")
    }

    pub(super) fn rabbit(&mut self) -> &mut Rabbit {
        self.rabbit.as_mut().expect("the section has a RabbitMQ of its own")
    }
}

impl Drop for Backing {
    fn drop(&mut self) {
        // What a section restores beside its database.
        let (server, name) = self.database.url().rsplit_once('/').expect("a database");
        let drop = format!("DROP DATABASE IF EXISTS {name}_restored WITH (FORCE)");
        if self.postgres.is_none() && !std::thread::panicking() {
            services::sql(&format!("{server}/postgres"), &drop);
        }
    }
}
