//! Connection pools.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::{Error, Result};
use sqlx::Connection as _;
use sqlx::postgres::PgPoolOptions;

use super::batches::Batches;
use super::connection::CONNECT_TIMEOUT;
use super::kept::KeptConnections;
use super::project_lock::ProjectLocks;
use super::watched_pool::WatchedPool;
use super::writability::Writability;
use super::{connection, error, migrate, pooler, session};
use prompt_ledger_store::Store;

/// Connections reserved for heartbeats: leases must not be lost because all other connections are in use. The second one is
/// opened only where the first is stuck: the pool takes seconds to give it up.
const BEATS: u32 = 2;
/// Connections reserved for the health monitor.
const HEALTH: u32 = 1;
/// Connections reserved for reading revisions, which every call waits for.
const REFRESHES: u32 = 1;
/// Connections reserved for lists, which may be slow and must not block other calls.
const LISTS: u32 = 2;
/// Connections for writes to executions: two batches of each of the three kinds.
const WRITES: u32 = 6;
/// Minimum total: the reserved ones, and one for other calls.
const LEAST: u32 = BEATS + HEALTH + REFRESHES + LISTS + WRITES + 1;

/// Added to the statement timeout: how long a connection that is returned to the pool may take to finish its last
/// statement.
const RELEASE_MARGIN: Duration = Duration::from_secs(1);
/// `statement_timeout` of the role.
const STATEMENT: Duration = Duration::from_secs(2);
/// `statement_timeout` in transactions that read lists (`begin_list!`).
const LIST: Duration = Duration::from_secs(15);

/// Options of [`Postgres::open`].
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Maximum number of connections over all pools; at least 13, by default 16.
    pub connections: u32,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { connections: 16 }
    }
}

/// The store in a Postgres database.
pub struct Postgres {
    /// Reads other than lists, figures and revisions; writes to the registry, models and keys.
    pub(super) calls: WatchedPool,
    pub(super) project_locks: ProjectLocks,
    pub(super) lists: WatchedPool,
    pub(super) refreshes: KeptConnections,
    /// For heartbeats only; used on one thread, whose runtime drives its socket. `health` likewise, for the health
    /// monitor.
    pub(super) beats: WatchedPool,
    pub(super) health: WatchedPool,
    /// Shared by all pools.
    pub(super) writability: Arc<Writability>,
    /// Batched writes to executions.
    pub(super) batches: Batches,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

impl Postgres {
    /// Connects. Fails where the login is refused, the database does not exist or accepts no writes, its schema does not
    /// fit this release, the role lacks rights or settings, or a pooler mixes sessions; the error says what to do. Later
    /// outages do not require reopening.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self> {
        if options.connections < LEAST {
            let message = format!("{} connections are too few; at least {LEAST} are needed", options.connections);
            return Err(Error::new(Reason::Internal, message));
        }
        let place = connection::options(url)?;
        let mut first = connection::first(&place).await?;
        pooler::check(&mut first, &place).await?;
        let fits = async {
            let session = session::check_writable(&mut first, &place).await?;
            migrate::check_fit(&mut first, &place).await?;
            session::check_settings(&session, &mut first, &place).await
        };
        error::bounded(error::CALL, fits).await?;
        first.close().await.ok();
        let writability = Arc::new(Writability::default());
        let pool = |connections, statement_timeout| {
            let pool = asking(pooled(connections, statement_timeout, &writability), &writability);
            WatchedPool::new(pool.connect_lazy_with(place.clone()))
        };
        let kept = |name, connections| {
            KeptConnections::new(pool(connections, STATEMENT), connections, &writability).shown(name)
        };
        let own = |name, connections| {
            // Without maintenance tasks: these would run on the runtime that creates the pool.
            let pool = pooled(connections, STATEMENT, &writability).idle_timeout(None).max_lifetime(None);
            WatchedPool::new(pool.connect_lazy_with(place.clone())).shown(name)
        };
        Ok(Self {
            calls: pool(options.connections - (LEAST - 1), STATEMENT).shown("calls"),
            project_locks: ProjectLocks::new(&writability),
            lists: pool(LISTS, LIST).shown("lists"),
            refreshes: kept("revisions", REFRESHES),
            beats: own("leases", BEATS),
            health: own("health", HEALTH),
            batches: Batches::new(kept("writes", WRITES), &writability),
            writability,
        })
    }
}

#[async_trait]
impl Store for Postgres {
    async fn close(&self) {
        self.batches.close().await;
        self.refreshes.close().await;
        for pool in [&self.lists, &self.health, &self.beats, &self.calls] {
            pool.close().await;
        }
    }
}

/// A pool whose idle connections are used without a check: the first statement of its only user is the check, and a
/// slow database is not a lost one.
fn pooled(connections: u32, statement_timeout: Duration, writability: &Arc<Writability>) -> PgPoolOptions {
    let [connecting, acquiring, releasing] = [(); 3].map(|()| Arc::clone(writability));
    // An abandoned statement has ended within this time. Until then its connection counts, so the pool does not exceed
    // its size.
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

/// Checks connections that have been idle before use. A round trip before each statement would double its cost.
fn asking(pool: PgPoolOptions, writability: &Arc<Writability>) -> PgPoolOptions {
    let writability = Arc::clone(writability);
    pool.before_acquire(move |connection, meta| {
        let writability = Arc::clone(&writability);
        Box::pin(async move { writability.may_use(connection, meta.age, meta.idle_for).await })
    })
}
