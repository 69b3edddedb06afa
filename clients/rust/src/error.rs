//! Why a watch ends before what it watches.

use std::time::Duration;

use tonic::Status;
use tonic_types::StatusExt as _;

/// Why a watch ends before what it watches.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WatchError {
    /// The server refused: trying again would come to the same.
    #[error("{}", .0.message())]
    Refused(Box<Status>),
    /// The stream broke, and nothing came of trying again.
    #[error("gave up after {} s without news: {cause}", .after.as_secs())]
    GaveUp {
        /// How long it was tried.
        after: Duration,
        /// What the last attempt ended with, in a sentence.
        cause: String,
    },
    /// The stream broke. Its spec has no idempotency key: the execution, where one began, is canceled.
    #[error("the stream broke, and without an idempotency key nothing goes on: {0}")]
    NotResumable(String),
    /// The server said that the execution has ended, in a way that this client cannot read.
    #[error("the execution ended in a way that this client does not know; a newer client is needed")]
    Unreadable,
}

impl WatchError {
    /// The server's answer, where it refused.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Refused(status) => Some(status),
            _ => None,
        }
    }

    /// The reason that the server gave for refusing, such as `EXECUTION_NOT_FOUND`.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.status().and_then(reason)
    }
}

/// The reason in a status's details.
pub(crate) fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}
