//! The driver's pool, with a count of those that wait for one of its connections.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use prompt_ledger_observe::store::{ObservedPool, PoolUse, PoolWaiters, observe_pool};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Describe, Either, Execute, Executor, Postgres, Result, SqlSafeStr as _, SqlStr, Transaction};

/// A pool. Clones share it.
#[derive(Clone)]
pub(super) struct WatchedPool {
    pool: PgPool,
    waiters: Arc<PoolWaiters>,
}

impl fmt::Debug for WatchedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedPool").finish_non_exhaustive()
    }
}

impl WatchedPool {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool, waiters: Arc::default() }
    }

    /// Shows it in figures under this name.
    pub(super) fn shown(self, name: &'static str) -> Self {
        observe_pool(name, self.clone());
        self
    }

    pub(super) async fn acquire(&self) -> Result<PoolConnection<Postgres>> {
        self.waiters.one(self.pool.acquire()).await
    }

    pub(super) async fn begin(&self) -> Result<Transaction<'static, Postgres>> {
        self.begin_with("BEGIN").await
    }

    /// Begins a transaction by this statement.
    pub(super) async fn begin_with(&self, statement: &'static str) -> Result<Transaction<'static, Postgres>> {
        let connection = self.acquire().await?;
        to_end(Transaction::begin(connection, Some(statement.into_sql_str()))).await
    }

    pub(super) fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    /// It counts as closed from the call on.
    pub(super) fn close(&self) -> impl Future<Output = ()> + '_ {
        self.pool.close()
    }

    pub(super) fn connect_options(&self) -> Arc<PgConnectOptions> {
        self.pool.connect_options()
    }

    /// As the driver counts them: also what is taken and not used counts as in use.
    pub(super) fn use_now(&self) -> PoolUse {
        let (open, idle) = (self.pool.size().try_into().unwrap_or(usize::MAX), self.pool.num_idle());
        PoolUse { in_use: open.saturating_sub(idle), idle, waiting: self.waiters.count() }
    }
}

/// Runs to its end what begins or ends a transaction, also where the caller leaves (its client is gone, its time is over).
/// Else the driver would hand a connection on inside of a transaction that it does not know of, whose next user's writes
/// would be lost (transact-rs/sqlx#4393), or would roll back what has just been committed.
pub(super) async fn to_end<T: Send + 'static>(step: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(step).await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

impl ObservedPool for WatchedPool {
    fn use_now(&self) -> PoolUse {
        Self::use_now(self)
    }
}

/// As the driver's pool is one. Rows are handed on once all have come, as every caller here reads them.
impl<'p> Executor<'p> for &WatchedPool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        let fetched = async move {
            let mut connection = pool.acquire().await?;
            let came: Vec<_> = connection.fetch_many(query).try_collect().await?;
            Ok::<_, sqlx::Error>(stream::iter(came.into_iter().map(Ok::<_, sqlx::Error>)))
        };
        stream::once(fetched).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.fetch_optional(query).await })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, Result<PgStatement>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.prepare_with(sql, parameters).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.describe(sql).await })
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;
    use std::time::Duration;

    use sqlx::postgres::PgPoolOptions;
    use sqlx::{ConnectOptions as _, Connection as _, PgConnection, Row as _};

    use super::super::error;
    use super::super::kept::KeptConnections;
    use super::super::writability::Writability;
    use super::*;

    /// A pool of one connection.
    fn pool() -> WatchedPool {
        let url =
            std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL names no server: run `cargo xtask test`");
        // The log does not tell what was slow.
        let options = url.parse::<PgConnectOptions>().unwrap().disable_statement_logging();
        WatchedPool::new(PgPoolOptions::new().max_connections(1).connect_lazy_with(options))
    }

    fn used(in_use: usize, idle: usize, waiting: usize) -> PoolUse {
        PoolUse { in_use, idle, waiting }
    }

    #[tokio::test]
    async fn it_is_used_as_the_drivers_and_tells_who_waits() {
        let pool = pool();
        assert_eq!(pool.use_now(), used(0, 0, 0));
        let all: Vec<i32> = sqlx::query_scalar("SELECT n FROM generate_series(1, 3) n").fetch_all(&pool).await.unwrap();
        assert_eq!(all, [1, 2, 3]);
        let done = sqlx::query("SELECT n FROM generate_series(1, 3) n").execute(&pool).await.unwrap();
        assert_eq!(done.rows_affected(), 3);
        assert!(sqlx::query("SELECT 1 WHERE false").fetch_optional(&pool).await.unwrap().is_none());
        let taken = pool.acquire().await.unwrap();
        assert_eq!(pool.use_now(), used(1, 0, 0));
        {
            let mut waits = std::pin::pin!(sqlx::query("SELECT 1").fetch_one(&pool));
            assert!(futures::poll!(waits.as_mut()).is_pending());
            assert_eq!(pool.use_now(), used(1, 0, 1));
        }
        assert_eq!(pool.use_now(), used(1, 0, 0), "it waits no longer");
        let mut begins = std::pin::pin!(pool.begin());
        assert!(futures::poll!(begins.as_mut()).is_pending());
        assert_eq!(pool.use_now(), used(1, 0, 1));
        drop(taken);
        begins.await.unwrap().rollback().await.unwrap();
        assert_eq!(pool.use_now().waiting, 0);
        pool.close().await;
        assert!(pool.is_closed() && sqlx::query("SELECT 1").execute(&pool).await.is_err());
    }

    /// Polls a future this many times and drops it then. Absent where it had not ended.
    async fn polled<F: Future>(times: usize, future: F) -> Option<F::Output> {
        let (mut future, mut polls) = (std::pin::pin!(future), 0);
        std::future::poll_fn(|context| {
            polls += 1;
            match polls > times {
                true => Poll::Ready(None),
                false => future.as_mut().poll(context).map(Some),
            }
        })
        .await
    }

    /// Advisory locks of the database, one for each test that makes a statement wait.
    const LOCKS: [i64; 2] = [4_393_001, 4_393_002];

    /// A connection that holds this lock of the database while it lives.
    async fn held(lock: i64) -> PgConnection {
        let mut holder = PgConnection::connect_with(&pool().connect_options()).await.unwrap();
        sqlx::query("SELECT pg_advisory_lock($1)").bind(lock).execute(&mut holder).await.unwrap();
        holder
    }

    /// Commits of transactions that write to `slow` wait for the first lock.
    const SLOW_COMMIT: &str = "CREATE TEMPORARY TABLE slow (n integer);
        CREATE FUNCTION pg_temp.wait() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock(4393001); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION pg_temp.wait()";

    /// A pool that gives its only connection out as it was returned, and the log of this thread.
    fn as_returned() -> (WatchedPool, tempfile::NamedTempFile, tracing::subscriber::DefaultGuard) {
        let unasked = PgPoolOptions::new().max_connections(1).test_before_acquire(false);
        let unasked = unasked.acquire_slow_threshold(Duration::MAX);
        let pool = WatchedPool::new(unasked.connect_lazy_with((*pool().connect_options()).clone()));
        let log = tempfile::NamedTempFile::new().unwrap();
        let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(Arc::new(log.reopen().unwrap())).finish();
        (pool, log, tracing::subscriber::set_default(lines))
    }

    /// Whether a statement of its next user is a transaction by itself.
    async fn is_alone(pool: &WatchedPool) -> bool {
        let mut next = pool.acquire().await.unwrap();
        sqlx::raw_sql("SELECT now() = statement_timestamp()").fetch_one(&mut *next).await.unwrap().get(0)
    }

    #[tokio::test]
    async fn a_caller_that_leaves_while_its_transaction_begins_leaves_none_open() {
        let (pool, log, _logging) = as_returned();
        let (mut times, mut has_begun) = (0, false);
        while !has_begun {
            let begun = polled(times, pool.begin_with("BEGIN; SET LOCAL statement_timeout = '9s'")).await;
            has_begun = begun.transpose().unwrap().is_some();
            assert!(is_alone(&pool).await, "the connection is in the transaction of whom left at poll {times}");
            times += 1;
        }
        assert!(times > 2, "it begins without a wait");
        assert!(!std::fs::read_to_string(log.path()).unwrap().contains("transaction"));
    }

    #[tokio::test]
    async fn a_commit_is_not_rolled_back_where_its_caller_leaves() {
        let (pool, log, _logging) = as_returned();
        sqlx::raw_sql(SLOW_COMMIT).execute(&mut *pool.acquire().await.unwrap()).await.unwrap();
        let holder = held(LOCKS[0]).await;
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query("INSERT INTO slow VALUES (1)").execute(&mut *transaction).await.unwrap();
        {
            let mut commits = std::pin::pin!(error::commit(transaction));
            assert!(futures::poll!(commits.as_mut()).is_pending());
        }
        holder.close().await.unwrap();
        assert!(is_alone(&pool).await);
        let slow: i64 = sqlx::query_scalar("SELECT count(*) FROM slow").fetch_one(&pool).await.unwrap();
        assert_eq!((slow, std::fs::read_to_string(log.path()).unwrap()), (1, String::new()));
    }

    #[tokio::test]
    async fn what_is_kept_between_statements_is_idle() {
        let kept = KeptConnections::new(pool(), 1, &Arc::new(Writability::default()));
        kept.fetch_all(sqlx::query("SELECT 1")).await.unwrap();
        assert_eq!(ObservedPool::use_now(&kept), used(0, 1, 0));
        let holder = held(LOCKS[1]).await;
        let waits = sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCKS[1]);
        let mut first = std::pin::pin!(kept.fetch_all(waits));
        let mut second = std::pin::pin!(kept.fetch_all(sqlx::query("SELECT 1")));
        assert!(futures::poll!(first.as_mut()).is_pending() && futures::poll!(second.as_mut()).is_pending());
        let PoolUse { in_use, waiting, .. } = ObservedPool::use_now(&kept);
        assert!(in_use == 1 && waiting > 0, "{waiting}");
        holder.close().await.unwrap();
        let (first, second) = futures::join!(first, second);
        assert!(first.is_ok() && second.is_ok());
        kept.close().await;
    }
}
