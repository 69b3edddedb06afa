//! The only mapping of database failures to the domain's errors.

use prompt_ledger_domain::Error;
use sqlx::migrate::MigrateError;

pub(super) use prompt_ledger_store::failure::unavailable;
use prompt_ledger_store::failure::unknown_migration;

/// STORE_UNAVAILABLE for transient failures (lock, full or read-only disk, connection), INTERNAL for everything else.
/// Violations of constraints that have a meaning are mapped where the query is.
pub(super) fn store(error: sqlx::Error) -> Error {
    if passes(&error) { unavailable().caused_by(error) } else { Error::internal(error) }
}

/// Whether another process held the lock beyond the busy timeout.
pub(super) fn locked(error: &sqlx::Error) -> bool {
    /// Primary result codes: BUSY, LOCKED.
    const LOCKED: [i32; 2] = [5, 6];
    code(error).is_some_and(|code| LOCKED.contains(&code))
}

/// As [`store`], for a migration.
pub(super) fn migration(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => store(error),
        MigrateError::VersionMissing(version) => unknown_migration(version),
        other => Error::internal(other),
    }
}

fn passes(error: &sqlx::Error) -> bool {
    /// Primary result codes: BUSY, LOCKED, NOMEM, READONLY, IOERR, FULL, CANTOPEN.
    const PASSING: [i32; 7] = [5, 6, 7, 8, 10, 13, 14];
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        error => code(error).is_some_and(|code| PASSING.contains(&code)),
    }
}

/// The primary result code: the low byte of the extended one.
fn code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
