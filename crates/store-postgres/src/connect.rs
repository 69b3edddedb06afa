//! Pools, and how every connection is set up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::{Error, Result};
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use super::batches::Batches;
use super::connection::{CONNECT_TIMEOUT, first, options};
use super::project_lock::ProjectLocks;
use super::writability::{self, Writability};
use super::{error, migrate};
use prompt_ledger_store::Store;

/// Connections that heartbeats have for themselves: a lease must not be lost because everyone else is waiting.
const BEATS: u32 = 1;
/// Connections that health has for itself.
const HEALTH: u32 = 1;
/// Connections for looks at the revisions, which every call waits for: nothing that callers ask is in their way.
const LOOKS: u32 = 1;
/// Connections for lists: one may walk far, and must not hold up what every call needs.
const LISTS: u32 = 2;
/// Connections for the batches of writes: two of each kind at a time.
const WRITES: u32 = 6;
/// The fewest that a store needs.
const LEAST: u32 = BEATS + HEALTH + LOOKS + LISTS + WRITES + 1;

/// How much longer than a statement may take a connection that comes back is waited for.
const RELEASE_MARGIN: Duration = Duration::from_secs(1);
/// What a statement may take.
const STATEMENT: Duration = Duration::from_secs(2);
/// What one list may take.
const LIST: Duration = Duration::from_secs(15);

/// How the store connects.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Connections in all, at most; at least 12.
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
    pub(super) project_locks: ProjectLocks,
    pub(super) lists: PgPool,
    pub(super) looks: PgPool,
    /// For heartbeats alone, and for health alone: each is used on one thread, whose runtime reads its socket.
    pub(super) beats: PgPool,
    pub(super) health: PgPool,
    /// Of all pools.
    pub(super) writability: Arc<Writability>,
    /// Writes to executions, in batches.
    pub(super) batches: Batches,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

impl Postgres {
    /// Connects, and refuses a login that fails, a database that does not exist or takes no writes, and a schema that does
    /// not fit this release. Whatever goes away later comes back by itself.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self> {
        if options.connections < LEAST {
            let message = format!("{} connections are too few; at least {LEAST} are needed", options.connections);
            return Err(Error::new(Reason::Internal, message));
        }
        let mut first = first(url).await?;
        let fits = async {
            writability::check_first(&mut first).await?;
            migrate::check_fit(&mut first).await
        };
        error::bounded(error::CALL, fits).await?;
        first.close().await.ok();
        let writability = Arc::new(Writability::default());
        let pool = |connections, statement_timeout| {
            let pool = asking(pooled(connections, statement_timeout, &writability), &writability);
            Ok(pool.connect_lazy_with(with_settings(url, statement_timeout)?))
        };
        let own = |connections| {
            // Without tasks that tend it: they would run on the runtime that it is made on.
            let pool = pooled(connections, STATEMENT, &writability).idle_timeout(None).max_lifetime(None);
            Ok(pool.connect_lazy_with(with_settings(url, STATEMENT)?))
        };
        Ok(Self {
            calls: pool(options.connections - (LEAST - 1), STATEMENT)?,
            project_locks: ProjectLocks::new(&writability),
            lists: pool(LISTS, LIST)?,
            looks: pool(LOOKS, STATEMENT)?,
            beats: own(BEATS)?,
            health: own(HEALTH)?,
            batches: Batches::new(pool(WRITES, STATEMENT)?, &writability),
            writability,
        })
    }
}

#[async_trait]
impl Store for Postgres {
    async fn close(&self) {
        self.batches.close().await;
        for pool in [&self.lists, &self.looks, &self.health, &self.beats, &self.calls] {
            pool.close().await;
        }
    }
}

fn with_settings(url: &str, statement_timeout: Duration) -> Result<PgConnectOptions> {
    let statement_timeout = format!("{}ms", statement_timeout.as_millis());
    Ok(options(url)?.options([
        ("statement_timeout", &*statement_timeout),
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
    ]))
}

/// Connections that have been idle are used as they are: what their one user asks is their test, and a database that is
/// slow is not one that is gone.
fn pooled(connections: u32, statement_timeout: Duration, writability: &Arc<Writability>) -> PgPoolOptions {
    let [connecting, acquiring, releasing] = [(); 3].map(|()| Arc::clone(writability));
    // What nobody waits for any more has ended by then: until then its connection counts, and no other takes its place.
    let release = statement_timeout + RELEASE_MARGIN;
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(CONNECT_TIMEOUT)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let writability = Arc::clone(&connecting);
            Box::pin(async move { writability.admit(connection).await })
        })
        .before_acquire(move |_, meta| {
            let stale = acquiring.is_stale(meta.age);
            Box::pin(async move { Ok(!stale) })
        })
        .after_release(move |connection, meta| {
            let writability = Arc::clone(&releasing);
            Box::pin(async move { writability.may_keep(connection, meta.age, release).await })
        })
        .idle_timeout(Duration::from_secs(600))
        .max_lifetime(Duration::from_secs(3_600))
}

/// Connections that have been idle are asked first. A round trip before each statement would double its cost.
fn asking(pool: PgPoolOptions, writability: &Arc<Writability>) -> PgPoolOptions {
    let writability = Arc::clone(writability);
    pool.before_acquire(move |connection, meta| {
        let writability = Arc::clone(&writability);
        Box::pin(async move { writability.may_use(connection, meta.age, meta.idle_for).await })
    })
}
