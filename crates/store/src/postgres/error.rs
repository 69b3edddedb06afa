//! The one mapping of database failures to the ledger's errors.

use prompt_ledger_domain::{Error, Result};
use sqlx::migrate::MigrateError;

pub(super) use crate::failure::unavailable;

/// STORE_UNAVAILABLE for what passes (a connection, a lock, a shutdown, a full disk), INTERNAL for everything else. A
/// violated constraint that means something is mapped where the query is.
pub(super) fn store(error: sqlx::Error) -> Error {
    if passes(&error) { unavailable().caused_by(error) } else { Error::internal(error) }
}

/// As [`store`], for a migration.
pub(super) fn migration(error: MigrateError) -> Error {
    crate::failure::migration(error, store)
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

/// A read, tried once more where its connection had died since it was last used.
pub(super) async fn again<T, F>(read: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = sqlx::Result<T>>,
{
    match read().await {
        Err(sqlx::Error::Io(_) | sqlx::Error::Protocol(_)) => read().await,
        Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code.starts_with("57P")) => read().await,
        read => read,
    }
    .map_err(store)
}
