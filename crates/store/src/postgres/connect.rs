//! Pools, and how every connection is set up.

use std::fmt;
use std::io::ErrorKind;
use std::str::FromStr as _;
use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::{Error, Result};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection as _, PgConnection};

use super::batch::Batches;
use super::turns::Turns;
use super::{error, migrate};
use crate::Store;

/// What each connection calls itself.
pub(super) const APPLICATION: &str = "prompt-ledger";

/// Connections that heartbeats have for themselves: a lease must not be lost because everyone else is waiting.
const BEATS: u32 = 1;
/// Connections for lists: one may walk far, and must not hold up what every call needs.
const LISTS: u32 = 2;
/// Connections for the batches of writes: two of each kind at a time.
const WRITES: u32 = 6;
/// The fewest that a store needs.
const LEAST: u32 = BEATS + LISTS + WRITES + 1;

/// How long a call waits for a connection, and for a new one to be made.
const PATIENCE: Duration = Duration::from_secs(2);
/// A connection that was idle for so long may have died since; what its sign of life may take leaves time for a new one.
const IDLE: Duration = Duration::from_secs(1);
const CHECK: Duration = Duration::from_millis(500);
/// What the last answer of a connection that comes back may take: a statement that nobody waits for any more ends by
/// then.
const RELEASE: Duration = Duration::from_secs(3);
/// What a statement may take.
const STATEMENT: &str = "2s";
/// What one list may take.
const LIST: &str = "15s";

/// How the store connects.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Connections in all, at most; at least 10.
    pub connections: u32,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { connections: 16 }
    }
}

/// The ledger in Postgres.
pub struct Postgres {
    /// For reads and for writes to the registry.
    pub(super) calls: PgPool,
    /// Who writes to a project's registry next.
    pub(super) turns: Turns,
    pub(super) lists: PgPool,
    pub(super) beats: PgPool,
    /// Writes to executions, in batches.
    pub(super) batches: Batches,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

impl Postgres {
    /// Connects, and refuses a schema that does not fit this release. Whatever goes away later comes back by itself.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self> {
        if options.connections < LEAST {
            let message = format!("{} connections are too few; at least {LEAST} are needed", options.connections);
            return Err(Error::new(Reason::Internal, message));
        }
        let calls = pool(url, options.connections - (LEAST - 1), STATEMENT)?;
        let connection = calls.acquire().await.map_err(error::store)?;
        migrate::check_fit(connection).await?;
        let writes = pool(url, WRITES, STATEMENT)?;
        Ok(Self {
            calls,
            turns: Turns::default(),
            lists: pool(url, LISTS, LIST)?,
            beats: pool(url, BEATS, STATEMENT)?,
            batches: Batches::new(writes),
        })
    }
}

#[async_trait]
impl Store for Postgres {
    async fn close(&self) {
        self.batches.close().await;
        for pool in [&self.lists, &self.beats, &self.calls] {
            pool.close().await;
        }
    }
}

fn pool(url: &str, connections: u32, statement_timeout: &str) -> Result<PgPool> {
    let options = options(url)?.options([
        ("statement_timeout", statement_timeout),
        ("lock_timeout", "1s"),
        ("idle_in_transaction_session_timeout", "10s"),
        // A hot statement is planned once; compiling it never pays. What was planned while a table was small must hold
        // when it has grown: every statement finds its rows one by one, in an index.
        ("jit", "off"),
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("TimeZone", "UTC"),
    ]);
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        // A round trip before each statement would double its cost: only who has been idle is asked for a sign of life.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > IDLE {
                    answers(connection, CHECK).await?;
                }
                Ok(true)
            })
        })
        // Behind a statement that nobody waits for any more the driver waits for its answer, and without bound.
        .after_release(|connection, _| Box::pin(async move { answers(connection, RELEASE).await.map(|()| true) }))
        .idle_timeout(Duration::from_secs(600))
        .max_lifetime(Duration::from_secs(3_600));
    Ok(pool.connect_lazy_with(options))
}

/// Fails unless a connection gives a sign of life in time; the pool then lets it go.
async fn answers(connection: &mut PgConnection, within: Duration) -> sqlx::Result<()> {
    match tokio::time::timeout(within, connection.ping()).await {
        Ok(answered) => answered,
        Err(_) => Err(sqlx::Error::Io(ErrorKind::TimedOut.into())),
    }
}

/// The options that a URL names. A URL that cannot be read is not repeated: it may hold a password.
pub(super) fn options(url: &str) -> Result<PgConnectOptions> {
    let read = PgConnectOptions::from_str(url);
    let options = read.map_err(|_| Error::new(Reason::Internal, "the database's URL cannot be read"))?;
    Ok(options.application_name(APPLICATION).statement_cache_capacity(256))
}
