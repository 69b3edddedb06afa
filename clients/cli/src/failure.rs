//! Errors for the user: what failed, what to do, and the exit code.

use std::fmt;
use std::io;
use std::process::ExitCode;

use prompt_ledger_client::{LedgerError, WatchError, v1};
use tonic::Code;
use v1::ErrorReason as Reason;

use crate::advice::advice;
use crate::stop_signal::StopSignal;

/// What the exit codes of all commands say.
pub(crate) const EXIT_CODES: &str = "Exit codes:
  0  done; the answer is yes
  1  the answer is no: an execution failed or was canceled, a comparison differs, a check failed
  2  refused: the command line, a file, or the server's answer says why
  3  not now: the server cannot be reached, or asks to come back later
  129  the terminal was closed (SIGHUP)
  130  interrupted by Ctrl-C
  141  nobody reads standard output any more
  143  ended by SIGTERM";

/// The answer is no.
pub(crate) const NO: u8 = 1;
/// Ctrl-C; that of a process ended by SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

#[derive(Debug)]
pub(crate) enum CommandError {
    /// Standard output is closed.
    NobodyReads,
    /// By a signal, and what became of what was begun; empty: there is nothing to tell.
    Stopped(StopSignal, String),
    /// It cannot be done as asked.
    Refused(String),
    /// The same may be possible later.
    NotNow(String),
}

impl CommandError {
    pub(crate) fn refused(error: impl fmt::Display) -> Self {
        Self::Refused(error.to_string())
    }

    /// The same with one more line: what was done before, or what to do.
    pub(crate) fn and(self, line: &str) -> Self {
        match self {
            Self::Refused(message) => Self::Refused(format!("{message}\n{line}")),
            Self::NotNow(message) => Self::NotNow(format!("{message}\n{line}")),
            Self::Stopped(signal, told) if told.is_empty() => Self::Stopped(signal, line.to_owned()),
            Self::Stopped(signal, told) => Self::Stopped(signal, format!("{told}\n{line}")),
            Self::NobodyReads => self,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Refused(_) => 2,
            Self::NotNow(_) => 3,
            // That of a process ended by SIGPIPE.
            Self::NobodyReads => 141,
            Self::Stopped(signal, _) => signal.exit_code(),
        })
    }

    /// Nothing answers at `server`.
    pub(crate) fn unreachable(server: &str, cause: &str) -> Self {
        Self::NotNow(format!(
            "nothing that speaks gRPC answers at {server} ({cause}). Is the server running there, with TLS for https and without for \
             http? `prompt-ledger dev` starts one on this machine; --server, --profile or LEDGER_SERVER names another"
        ))
    }

    /// Whether no server has answered: the error is of the connection.
    pub(crate) fn is_unanswered(error: &LedgerError) -> bool {
        let is_of_connection =
            matches!(error.code, Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled);
        is_of_connection && error.reason_sent.is_empty()
    }

    /// A refused or failed call to `server`.
    pub(crate) fn call(error: &LedgerError, server: &str) -> Self {
        let message = &error.message;
        // A refusal for one field alone says it in its message.
        let fields = error.fields.iter().map(|(field, wrong)| format!("{field}: {wrong}"));
        let fields: String =
            fields.filter(|wrong| !message.contains(&**wrong)).map(|wrong| format!("\n  {wrong}")).collect();
        if let Some(advice) = advice(error) {
            return Self::Refused(format!("{message}{fields}\n{advice}"));
        }
        if Self::is_unanswered(error) {
            return Self::unreachable(server, message);
        }
        match error.code {
            Code::Unauthenticated => Self::Refused(format!(
                "{server} does not take this key: {message}. Use one that `prompt-ledger keys list` shows there, by --key-file, \
                 LEDGER_API_KEY or a profile; `prompt-ledger keys create` makes one"
            )),
            Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Aborted
                if error.reason != Reason::TooLarge && error.reason != Reason::EtagMismatch =>
            {
                Self::NotNow(format!("{message}; try again later"))
            }
            Code::NotFound if error.reason == Reason::ExecutionNotFound => Self::Refused(format!(
                "{message}. Is it in another project? Each key opens one; a system key names it by --project"
            )),
            _ if error.reason == Reason::VariablesMissing => Self::Refused(format!(
                "{message}{fields}\nGive them by --var NAME=TEXT, --var NAME:=JSON or --vars FILE"
            )),
            _ => Self::Refused(format!("{message}{fields}")),
        }
    }

    /// A watch of `server` that ended early.
    pub(crate) fn watch(error: &WatchError, server: &str) -> Self {
        match error {
            WatchError::Refused(status) => Self::call(&LedgerError::from((**status).clone()), server),
            WatchError::GaveUp { .. } => {
                Self::NotNow(format!("{error}. What was watched goes on by itself; run this again"))
            }
            WatchError::NotResumable(_) | WatchError::TimedOut(_) | WatchError::Unreadable => Self::refused(error),
        }
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::NobodyReads,
            _ => Self::Refused(format!("cannot write to standard output: {error}")),
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(message) | Self::NotNow(message) => f.write_str(message),
            Self::NobodyReads => f.write_str("standard output is closed"),
            Self::Stopped(signal, told) if told.is_empty() => f.write_str(signal.told()),
            Self::Stopped(signal, told) => write!(f, "{}\n{told}", signal.told()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests state what a server answers")]
mod tests {
    use std::time::Duration;

    use tonic::Status;

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

    #[test]
    fn what_a_signal_left_is_told_in_lines_of_its_own() {
        let stopped = CommandError::Stopped(StopSignal::Terminate, String::new());
        assert_eq!(stopped.to_string(), "ended by SIGTERM");
        assert_eq!(stopped.and("a").and("b").to_string(), "ended by SIGTERM\na\nb");
        assert_eq!(CommandError::NobodyReads.and("a").to_string(), "standard output is closed");
    }

    #[test]
    fn only_what_belongs_to_a_project_is_looked_for_in_another_one() {
        for (reason, in_a_project) in
            [(Reason::ExecutionNotFound, true), (Reason::ProviderNotFound, false), (Reason::ProjectNotFound, false)]
        {
            let mut error = LedgerError::from(Status::not_found("no"));
            error.reason = reason;
            let told = CommandError::call(&error, "http://here").to_string();
            assert_eq!(told.contains("--project"), in_a_project, "{told}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_field_is_told_once() {
        let mut error = LedgerError::from(Status::new(Code::InvalidArgument, "variables.a: is missing"));
        error.reason = Reason::VariablesMissing;
        error.fields = ["variables.a", "variables.b"].map(|field| (field.to_owned(), "is missing".to_owned())).into();
        let told = CommandError::call(&error, "http://here").to_string();
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(lines[..2], ["variables.a: is missing", "  variables.b: is missing"]);
        assert!(lines[2].contains("--var NAME=TEXT"), "{told}");
    }

    #[test]
    fn scripts_tell_what_may_pass_from_what_is_wrong() {
        let told = |code, reason: &str| {
            let mut error = LedgerError::from(Status::new(code, "no"));
            reason.clone_into(&mut error.reason_sent);
            error.reason = Reason::from_str_name(&format!("ERROR_REASON_{reason}")).unwrap_or_default();
            matches!(CommandError::call(&error, "http://here"), CommandError::NotNow(_))
        };
        for (code, reason, passes) in [
            (Code::Unavailable, "", true),
            (Code::Unavailable, "DRAINING", true),
            (Code::ResourceExhausted, "OVERLOADED", true),
            (Code::ResourceExhausted, "TOO_LARGE", false),
            (Code::DeadlineExceeded, "", true),
            (Code::Aborted, "ETAG_MISMATCH", false),
            (Code::InvalidArgument, "INVALID_FIELD", false),
            (Code::Internal, "INTERNAL", false),
            (Code::NotFound, "PROMPT_NOT_FOUND", false),
        ] {
            assert_eq!(told(code, reason), passes, "{code:?} {reason}");
        }
    }
}
