//! Real Postgres, PgBouncer, Redis, RabbitMQ and Prometheus: those that all tests share, named in the environment by `cargo xtask test`, and
//! private ones for tests that kill them. It depends on little, so that `cargo xtask` is built without all that it tests.

// A library for tests and measurements: a panic here is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod http;
mod instance;
mod pgbouncer;
mod postgres;
mod prometheus;
mod proxy;
mod rabbit;
mod redis;
pub mod signals;

use std::process::Command;

pub use http::get;
pub use instance::free_port;
pub use pgbouncer::{PgBouncer, PoolMode};
pub use postgres::Postgres;
pub use prometheus::Prometheus;
pub use proxy::Proxy;
pub use rabbit::Rabbit;
pub use redis::Redis;

/// Takes back what a ledger's role has in its database, for a test's own statements.
pub const UNBOUND: [(&str, &str); 7] = [
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("plan_cache_mode", "auto"),
    ("enable_seqscan", "on"),
    ("enable_hashjoin", "on"),
    ("enable_mergejoin", "on"),
];

/// [`UNBOUND`] as the programs of Postgres read it from `PGOPTIONS`.
#[must_use]
pub fn unbound() -> String {
    UNBOUND.map(|(name, value)| format!("-c {name}={value}")).join(" ")
}

/// Variable with the URL of the shared Postgres.
pub const POSTGRES: &str = "TEST_POSTGRES_URL";
/// Variable with the URL of the shared Redis.
pub const REDIS: &str = "TEST_REDIS_URL";
/// Variable with the URL of the shared RabbitMQ.
pub const AMQP: &str = "TEST_AMQP_URL";

fn shared(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: `cargo xtask test` starts the services that tests need; `cargo xtask services` too")
    })
}

/// URL of the shared Redis.
///
/// # Panics
/// When there is none; the message says what to do.
#[must_use]
pub fn redis_url() -> String {
    shared(REDIS)
}

/// URL of the shared RabbitMQ.
///
/// # Panics
/// When there is none; the message says what to do.
#[must_use]
pub fn amqp_url() -> String {
    shared(AMQP)
}

/// A temporary database; dropped with the value.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
    url: String,
}

/// A new, empty database on the shared Postgres.
///
/// # Panics
/// When there is no shared Postgres, or it refuses.
#[must_use]
pub fn database() -> Database {
    database_on(&shared(POSTGRES))
}

/// A new, empty database on another Postgres.
///
/// # Panics
/// When it refuses.
#[must_use]
pub fn database_on(server: &str) -> Database {
    let name = format!("t_{:016x}", unique());
    sql(server, &format!("CREATE DATABASE {name}"));
    let (base, _) = server.rsplit_once('/').unwrap();
    Database { server: server.to_owned(), url: format!("{base}/{name}"), name }
}

impl Database {
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Connected clients are disconnected; a Postgres that is gone has nothing to drop.
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let _ = psql(&self.server, &drop).output();
    }
}

/// The result of a statement: rows as lines, columns separated by `|`.
///
/// # Panics
/// When the database refuses it.
pub fn sql(url: &str, statement: &str) -> String {
    let output = psql(url, statement).output().unwrap();
    assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn psql(url: &str, statement: &str) -> Command {
    let mut command = Command::new("psql");
    // A server that hangs must not block the end of the test.
    command.env("PGCONNECT_TIMEOUT", "10");
    command.env("PGOPTIONS", unbound());
    command.args([
        "--no-psqlrc",
        "--quiet",
        "--tuples-only",
        "--no-align",
        "--set",
        "ON_ERROR_STOP=1",
        "-c",
        statement,
        url,
    ]);
    command
}

/// Bits that differ from run to run and from call to call.
#[must_use]
pub fn unique() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish()
}
