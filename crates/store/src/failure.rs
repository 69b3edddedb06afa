//! What every database's failures have in common.

use std::time::Duration;

use prompt_ledger_domain::{Error, error::Reason};
use sqlx::migrate::MigrateError;

/// When a caller may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// STORE_UNAVAILABLE.
pub(crate) fn unavailable() -> Error {
    Error::new(Reason::StoreUnavailable, "the database does not answer; try again").retry_after(RETRY_AFTER)
}

/// INTERNAL, where nothing says that it passes, nor that it does not.
pub(crate) fn unexpected(error: sqlx::Error) -> Error {
    Error::internal(error).retry_after(RETRY_AFTER)
}

/// A migration's failure; `store` maps those of the database.
pub(crate) fn migration(error: MigrateError, store: fn(sqlx::Error) -> Error) -> Error {
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
