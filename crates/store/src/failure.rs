//! What every database's failures have in common.

use std::time::Duration;

use prompt_ledger_domain::{Error, error::Reason};
/// When a caller may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// STORE_UNAVAILABLE.
pub fn unavailable() -> Error {
    Error::new(Reason::StoreUnavailable, "the database does not answer; try again").retry_after(RETRY_AFTER)
}

/// INTERNAL: the database has a migration that this release does not have.
pub fn unknown_migration(version: i64) -> Error {
    let message = format!(
        "the database has migration {version}, which this release does not know: start the release that made it, or take \
         the migration back with it"
    );
    Error::new(Reason::Internal, message)
}

/// INTERNAL, where nothing says that it passes, nor that it does not: a caller may try again.
pub fn unexpected(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal(error).retry_after(RETRY_AFTER)
}
