//! The only mapping of database failures to the domain's errors.

use std::io;

use prompt_ledger_domain::Error;
use rusqlite::ffi;

pub(super) use prompt_ledger_store::failure::unavailable;

/// STORE_UNAVAILABLE for transient failures (lock, full or read-only disk, connection), INTERNAL for everything else.
/// Violations of constraints that have a meaning are mapped where the query is.
pub(super) fn store(error: rusqlite::Error) -> Error {
    /// Primary result codes.
    const TRANSIENT: [i32; 7] = [
        ffi::SQLITE_BUSY,
        ffi::SQLITE_LOCKED,
        ffi::SQLITE_NOMEM,
        ffi::SQLITE_READONLY,
        ffi::SQLITE_IOERR,
        ffi::SQLITE_FULL,
        ffi::SQLITE_CANTOPEN,
    ];
    // The primary code is the low byte of the extended one.
    match extended_code(&error).is_some_and(|code| TRANSIENT.contains(&(code & 0xff))) {
        true => unavailable().caused_by(error),
        false => Error::internal(error),
    }
}

/// STORE_UNAVAILABLE: the file or its directory cannot be created.
pub(super) fn file(error: io::Error) -> Error {
    unavailable().caused_by(error)
}

/// Whether another process held the lock beyond the busy timeout.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    extended_code(error).is_some_and(|code| code & 0xff == ffi::SQLITE_BUSY)
}

pub(super) fn is_foreign_key_violation(error: &rusqlite::Error) -> bool {
    extended_code(error) == Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}

fn extended_code(error: &rusqlite::Error) -> Option<i32> {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => Some(failure.extended_code),
        _ => None,
    }
}
