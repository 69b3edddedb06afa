//! Errors for the user: what failed, and what to do.

use std::fmt;
use std::io;

use prompt_ledger_client::WatchError;
use tonic::{Code, Status};

#[derive(Debug)]
pub(crate) enum CommandError {
    /// Standard output is closed.
    NobodyReads,
    Other(String),
}

impl CommandError {
    pub(crate) fn other(error: impl fmt::Display) -> Self {
        Self::Other(error.to_string())
    }

    /// A refused or failed call to `server`.
    pub(crate) fn call(status: &Status, server: &str) -> Self {
        let message = match status.message() {
            "" => status.code().description(),
            message => message,
        };
        Self::Other(match (status.code(), status.details().is_empty()) {
            (Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled, true) => format!(
                "nothing that speaks gRPC answers at {server} ({message}). Is the server running there, with TLS for \
                 https and without for http? `prompt-ledger dev` starts one on this machine; --server or LEDGER_SERVER \
                 names another"
            ),
            (Code::Unauthenticated, _) => format!(
                "{server} does not take this key: {message}. Set LEDGER_API_KEY to one that `prompt-ledger keys list` \
                 shows there; `prompt-ledger keys create` makes one"
            ),
            (Code::NotFound, _) => {
                format!("{message}. Is it in another project? Each key opens one; a system key names it by --project")
            }
            _ => message.to_owned(),
        })
    }

    /// A watch of `server` that ended early.
    pub(crate) fn watch(error: &WatchError, server: &str) -> Self {
        match error {
            WatchError::Refused(status) => Self::call(status, server),
            WatchError::GaveUp { .. } => {
                Self::Other(format!("{error}. What was watched goes on by itself; run this again"))
            }
            WatchError::NotResumable(_) | WatchError::TimedOut(_) | WatchError::Unreadable => Self::other(error),
        }
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::NobodyReads,
            _ => Self::Other(format!("cannot write to standard output: {error}")),
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(message) => f.write_str(message),
            Self::NobodyReads => f.write_str("standard output is closed"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests state what a server answers")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_goes_on_is_worth_running_again_for() {
        let said = |error| CommandError::watch(&error, "http://here").to_string();
        let gave_up = said(WatchError::GaveUp { after: Duration::from_secs(60), cause: "it was silent".into() });
        assert!(gave_up.ends_with("it was silent. What was watched goes on by itself; run this again"), "{gave_up}");
        let unreadable = said(WatchError::Unreadable);
        assert!(unreadable.ends_with("a newer client is needed"), "{unreadable}");
        assert_eq!(said(WatchError::Refused(Box::new(Status::not_found("no x")))).split('.').next(), Some("no x"));
    }
}
