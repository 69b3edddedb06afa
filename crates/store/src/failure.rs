//! Errors that the database crates share.

use std::time::Duration;

use prompt_ledger_domain::{Error, error::Reason};
/// Delay recommended to a caller before it retries.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// STORE_UNAVAILABLE, with a retry delay of 1 s.
pub fn unavailable() -> Error {
    Error::new(Reason::StoreUnavailable, "the database does not answer; try again").retry_after(RETRY_AFTER)
}

/// INTERNAL: the database has a migration that this release does not know.
pub fn unknown_migration(version: i64) -> Error {
    let message = format!(
        "the database has migration {version}, which this release does not know: start the release that made it, or take \
         the migration back with it"
    );
    Error::new(Reason::Internal, message)
}

/// INTERNAL with a retry delay of 1 s, for failures that may or may not be transient.
pub fn unexpected(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal(error).retry_after(RETRY_AFTER)
}
