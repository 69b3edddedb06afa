//! The only mapping of database failures to the domain's errors.

use std::pin::pin;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable as _};
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::{Error, Result};
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Transaction};
use tokio::time::{Instant, timeout};

use super::connection_failure::is_not_connected;
pub(super) use prompt_ledger_store::failure::unavailable;
use prompt_ledger_store::failure::{unexpected, unknown_migration};

use super::refusal::{StartStep, explained};
use super::session::begin_list;
use super::watched_pool::{WatchedPool, to_end};

/// Timeout of a call, for a database that hangs and so does not enforce its own. Exceeds connecting plus one statement.
pub(super) const CALL: Duration = Duration::from_secs(5);
/// As [`CALL`], for a list.
pub(super) const LIST: Duration = Duration::from_secs(18);
/// Its transaction is rolled back when its connection is returned.
const LIST_BEGIN: &str = begin_list!("READ ONLY");
/// Maximum number of dead connections that one call discards before it fails.
const DEAD: usize = 8;
/// Time for which everything before a commit is repeated after transient failures, and the pause between two attempts.
const REPEAT_FOR: Duration = Duration::from_secs(2);
const BEGIN_PAUSE: Duration = Duration::from_millis(20);

/// STORE_UNAVAILABLE for transient failures (connection, lock, shutdown, full disk, failover). Everything else is
/// INTERNAL, with a retry delay unless a value is the cause. Violations of constraints that have a meaning are mapped
/// where the query is.
pub(super) fn store(error: sqlx::Error) -> Error {
    match &error {
        _ if passes(&error) => unavailable().caused_by(error),
        sqlx::Error::Database(_) if !is_of_a_row(&error) => unexpected(error),
        _ => Error::internal(error),
    }
}

/// Whether a database that refuses connections may only be starting.
pub(super) fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        sqlx::Error::Database(error) => error.is_transient_in_connect_phase(),
        _ => false,
    }
}

/// The error of a migration, which a command tells.
pub(super) fn migration(error: MigrateError, options: &PgConnectOptions) -> Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            explained(&error, StartStep::Migrate, options)
        }
        MigrateError::VersionMissing(version) => unknown_migration(version),
        other => Error::internal(other),
    }
}

/// Transient classes of SQLSTATE: connection exception, transaction rollback, insufficient resources, operator
/// intervention; also, once a process has had a connection, invalid authorization and invalid catalog name.
const PASSING_CLASSES: [&str; 6] = ["08", "40", "53", "57", "28", "3D"];
/// Transient codes of other classes: `lock_not_available`, `idle_in_transaction_session_timeout`,
/// `read_only_sql_transaction`.
const PASSING: [&str; 3] = ["55P03", "25P03", "25006"];

/// Whether the same statement may succeed later.
pub(super) fn passes(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            PASSING_CLASSES.iter().any(|class| code.starts_with(class)) || PASSING.contains(&&*code)
        }),
        _ => false,
    }
}

/// Whether the failure is contention among writers: no connection or lock in time, or a deadlock.
pub(super) fn is_contention(error: &sqlx::Error) -> bool {
    if matches!(error, sqlx::Error::PoolTimedOut) {
        return true;
    }
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| ["55P03", "40P01"].contains(&&*code))
}

/// The driver's error that caused this one.
pub(super) fn cause(error: &Error) -> Option<&sqlx::Error> {
    error.parts().cause.as_ref()?.downcast_ref()
}

/// Whether a value of the row caused the failure (data exception, integrity constraint violation), so that only its row
/// fails.
pub(super) fn is_of_a_row(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

/// Runs a query, and repeats it where its connection had died since its last use. For reads, and for writes that may be
/// repeated.
pub(super) async fn again<T, F>(ask: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = sqlx::Result<T>>,
{
    within(CALL, ask).await
}

/// The rows of a list, which may take longer than other statements.
pub(super) async fn list<'q>(
    pool: &WatchedPool,
    query: impl Fn() -> Query<'q, Postgres, PgArguments>,
) -> Result<Vec<PgRow>> {
    let ask = || async {
        let mut transaction = pool.begin_with(LIST_BEGIN).await?;
        query().fetch_all(&mut *transaction).await
    };
    within(LIST, ask).await
}

/// As [`again`], with the timeout for lists.
pub(super) async fn walk<T, F>(ask: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = sqlx::Result<T>>,
{
    within(LIST, ask).await
}

/// Runs what precedes a commit, repeated after transient failures: nothing of it has been written.
pub(super) async fn insist<T, F>(pool: &WatchedPool, begin: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let began = Instant::now();
    let passes = |error: &Error| {
        error.reason() == Reason::StoreUnavailable && !pool.is_closed() && began.elapsed() <= REPEAT_FOR
    };
    let tries = || bounded(CALL, begin());
    tries.retry(ConstantBuilder::new().with_delay(BEGIN_PAUSE).without_max_times()).when(passes).await
}

/// Commits. After a failure it is unknown whether the transaction was committed.
pub(super) async fn commit(transaction: Transaction<'static, Postgres>) -> Result<()> {
    // The timeout is a part of what runs to its end: a commit that hangs gives its connection back.
    let committed = to_end(async { Ok(bounded(CALL, async { transaction.commit().await.map_err(store) }).await) });
    committed.await.map_err(store)?
}

async fn within<T, F>(limit: Duration, ask: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = sqlx::Result<T>>,
{
    // Pinned here: within the timeout its 8 KB of state would be a second time in what each call allocates.
    let asked = pin!(async {
        let mut dead = 0;
        loop {
            match ask().await {
                // The pool discards each of them.
                Err(error) if dead < DEAD && lost(&error) => dead += 1,
                asked => return asked.map_err(store),
            }
        }
    });
    bounded(limit, asked).await
}

/// A timeout for several statements together.
pub(super) async fn bounded<T>(limit: Duration, asked: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(limit, asked).await.unwrap_or_else(|_| Err(unanswered(limit)))
}

/// STORE_UNAVAILABLE for want of an answer in time.
pub(super) fn unanswered(limit: Duration) -> Error {
    unavailable().caused_by(format!("no answer within {limit:?}"))
}

/// Whether the failure is the connection's, not the database's.
fn lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => !is_not_connected(error),
        sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}
