//! The one mapping of database failures to the ledger's errors.

use std::time::Duration;

use prompt_ledger_domain::{Error, error::Reason};
use sqlx::migrate::MigrateError;

/// When a caller may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// STORE_UNAVAILABLE for what passes (a lock, a full disk, a connection), INTERNAL for everything else. A violated
/// constraint that means something is mapped where the query is.
pub(super) fn store(error: sqlx::Error) -> Error {
    if passes(&error) { unavailable().caused_by(error) } else { Error::internal(error) }
}

/// STORE_UNAVAILABLE.
pub(super) fn unavailable() -> Error {
    Error::new(Reason::StoreUnavailable, "the database does not answer; try again").retry_after(RETRY_AFTER)
}

/// What a stored value that no release ever wrote comes to.
pub(super) fn corrupt(column: &str) -> Error {
    Error::internal(format!("the database holds a value in `{column}` that this release does not know"))
}

/// As [`store`], for a migration.
pub(super) fn migration(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => store(error),
        MigrateError::VersionMissing(version) => Error::new(
            Reason::Internal,
            format!(
                "the database has migration {version}, which this release does not know: start the release that made \
                 it, or take the migration back with it"
            ),
        ),
        other => Error::internal(other),
    }
}

fn passes(error: &sqlx::Error) -> bool {
    /// Primary result codes: BUSY, LOCKED, NOMEM, IOERR, FULL, CANTOPEN.
    const PASSING: [i32; 6] = [5, 6, 7, 10, 13, 14];
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error
            .code()
            .and_then(|code| code.parse::<i32>().ok())
            // The low byte is the primary code, the rest says more.
            .is_some_and(|code| PASSING.contains(&(code & 0xff))),
        _ => false,
    }
}
