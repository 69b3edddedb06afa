use std::time::Duration;

use tonic::Status;
use tonic_types::StatusExt as _;

/// Why a watch or a tail ended early.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WatchError {
    /// The server refused the call; a retry would be refused too.
    #[error("{}", .0.message())]
    Refused(Box<Status>),
    /// The stream broke, and no retry succeeded within [`Options::patience`](crate::Options).
    #[error("gave up after {} s without news: {cause}", .after.as_secs())]
    GaveUp {
        /// The time since the first of the failed attempts.
        after: Duration,
        /// The failure of the last attempt, as a sentence.
        cause: String,
    },
    /// The stream broke. The spec has no idempotency key, so the execution, if it began, is canceled.
    #[error("the stream broke, and without an idempotency key nothing goes on: {0}")]
    NotResumable(String),
    /// The execution has not ended within this time.
    #[error("the execution has not ended within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The server reported the end of the execution in a form that this client does not know.
    #[error("the execution ended in a way that this client does not know; a newer client is needed")]
    Unreadable,
}

impl WatchError {
    /// The server's status; absent unless the server refused.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Refused(status) => Some(status),
            _ => None,
        }
    }

    /// The reason of a refusal, such as `EXECUTION_NOT_FOUND`; absent where the server gave none.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.status().and_then(reason)
    }
}

/// The reason in a status's details.
pub(crate) fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}
