//! The one mapping of database failures to the ledger's errors.

use std::time::Duration;

use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::{Error, Result};
use sqlx::migrate::MigrateError;
use sqlx::{PgPool, Postgres, Transaction};
use tokio::time::{Instant, timeout};

pub(super) use prompt_ledger_store::failure::unavailable;
use prompt_ledger_store::failure::unknown_migration;

/// What a call may take: a database that hangs keeps no bound of its own. More than a connection and a statement may
/// take together.
pub(super) const CALL: Duration = Duration::from_secs(5);
/// As [`CALL`], for a list.
pub(super) const LIST: Duration = Duration::from_secs(18);
/// How many dead connections one call meets at most.
const DEAD: usize = 8;
/// How long the beginning of a write is repeated, and the pause between two tries.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

/// STORE_UNAVAILABLE for what passes (a connection, a lock, a shutdown, a full disk), INTERNAL for everything else. A
/// violated constraint that means something is mapped where the query is.
pub(super) fn store(error: sqlx::Error) -> Error {
    if passes(&error) { unavailable().caused_by(error) } else { Error::internal(error) }
}

/// As [`store`], for a migration.
pub(super) fn migration(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => store(error),
        MigrateError::VersionMissing(version) => unknown_migration(version),
        other => Error::internal(other),
    }
}

/// Whether the same statement may go well later.
pub(super) fn passes(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class)) || code == "55P03" || code == "25P03"
        }),
        _ => false,
    }
}

/// Whether one value is to blame: its row fails alone.
pub(super) fn is_of_a_row(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

/// What a call asks, again where its connection had died since it was last used: of reads, and of writes that may be
/// repeated.
pub(super) async fn again<T, F>(ask: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = sqlx::Result<T>>,
{
    within(CALL, ask).await
}

/// As [`again`], for a list, which may walk far.
pub(super) async fn walk<T, F>(ask: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = sqlx::Result<T>>,
{
    within(LIST, ask).await
}

/// What comes before a commit, again while it fails for what passes: nothing of it was written.
pub(super) async fn insist<T, F>(pool: &PgPool, begin: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let began = Instant::now();
    loop {
        let tried = bounded(CALL, begin()).await;
        let passes = matches!(&tried, Err(error) if error.reason() == Reason::StoreUnavailable);
        if !passes || pool.is_closed() || began.elapsed() > PATIENCE {
            return tried;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Commits. Where it fails nobody knows whether it was written.
pub(super) async fn commit(transaction: Transaction<'_, Postgres>) -> Result<()> {
    bounded(CALL, async { transaction.commit().await.map_err(store) }).await
}

async fn within<T, F>(limit: Duration, ask: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = sqlx::Result<T>>,
{
    let asked = async {
        let mut dead = 0;
        loop {
            match ask().await {
                // Each leaves the pool for good.
                Err(error) if dead < DEAD && lost(&error) => dead += 1,
                asked => return asked.map_err(store),
            }
        }
    };
    bounded(limit, asked).await
}

/// What a database is asked in several statements, all of them within this time.
pub(super) async fn bounded<T>(limit: Duration, asked: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(limit, asked).await.unwrap_or_else(|_| Err(unavailable()))
}

/// Whether the connection is to blame, not the database.
fn lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}
