use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::ErrorReason;
use tonic::{Code, ConnectError, Status, TimeoutExpired};
use tonic_types::StatusExt as _;

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct LedgerError {
    /// `DeadlineExceeded` also where the call's own deadline passed, `Unavailable` where there was no connection.
    pub code: Code,
    /// What to decide by. `Unspecified` where there is none, or one that this client does not know: then the code tells.
    pub reason: ErrorReason,
    /// The reason as it was sent, such as `PROMPT_NOT_FOUND`; empty where there is none.
    pub reason_sent: String,
    /// What was wrong, and what to do; for people.
    pub message: String,
    /// What is wrong with each field, by its name.
    pub fields: Vec<(String, String)>,
    /// Such as `execution_id`, where a key was used for another request before, or the answer of an execution was dropped.
    pub metadata: BTreeMap<String, String>,
    /// How long to wait before trying again; absent where the server did not say.
    pub retry_after: Option<Duration>,
}

impl LedgerError {
    /// The names of the variables that a template needs and that were not given, sorted.
    #[must_use]
    pub fn missing(&self) -> Vec<&str> {
        let names = self.fields.iter().filter(|_| self.reason == ErrorReason::VariablesMissing);
        let mut names: Vec<&str> = names.filter_map(|(field, _)| field.strip_prefix("variables.")).collect();
        names.sort_unstable();
        names
    }

    /// The execution that the error is about; absent where it is about none. One of `Overloaded` is recorded, and its answer alone was
    /// dropped: [`Client::handle`](crate::Client::handle) reads it.
    #[must_use]
    pub fn execution_id(&self) -> Option<&str> {
        self.metadata.get("execution_id").map(String::as_str)
    }

    /// An error that no server sent.
    pub(crate) fn local(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: ErrorReason::Unspecified,
            reason_sent: String::new(),
            message: message.into(),
            fields: Vec::new(),
            metadata: BTreeMap::new(),
            retry_after: None,
        }
    }

    /// The deadline has passed.
    pub(crate) fn late(limit: Duration) -> Self {
        Self::local(Code::DeadlineExceeded, format!("there was no answer within {} s", limit.as_secs_f64()))
    }
}

impl From<Status> for LedgerError {
    fn from(status: Status) -> Self {
        let code = if is_late(&status) { Code::DeadlineExceeded } else { status.code() };
        let message = match status.message() {
            "" => code.description(),
            message => message,
        };
        let details = status.get_error_details();
        let info = details.error_info();
        let reason_sent = info.map(|info| info.reason.clone()).unwrap_or_default();
        let violations = details.bad_request().map(|request| request.field_violations.as_slice()).unwrap_or_default();
        Self {
            code,
            reason: v1::ErrorReason::from_str_name(&format!("ERROR_REASON_{reason_sent}")).unwrap_or_default(),
            message: message.to_owned(),
            fields: violations.iter().map(|wrong| (wrong.field.clone(), wrong.description.clone())).collect(),
            metadata: info.map(|info| info.metadata.clone().into_iter().collect()).unwrap_or_default(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            reason_sent,
        }
    }
}

/// Whether no connection came about, or the one that there was broke before the call was written to it, so that the server has not
/// seen the call.
pub(crate) fn is_unconnected(status: &Status) -> bool {
    is_caused_by::<ConnectError>(status, |_| true) || is_caused_by(status, hyper::Error::is_canceled)
}

/// Whether the call was ended here, by its deadline.
pub(crate) fn is_late(status: &Status) -> bool {
    is_caused_by::<TimeoutExpired>(status, |_| true)
}

fn is_caused_by<E: Error + 'static>(status: &Status, is_it: impl Fn(&E) -> bool) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.downcast_ref().is_some_and(&is_it) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests state what a server answers")]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn an_error_has_what_the_server_told() {
        let mut details = ErrorDetails::new();
        details.set_error_info("VARIABLES_MISSING", "promptledger.dev", [("prompt".to_owned(), "greet".to_owned())]);
        details.add_bad_request_violation("variables.name", "is missing");
        details.add_bad_request_violation("variables.age", "is missing");
        details.set_retry_info(Some(Duration::from_secs(2)));
        let error = LedgerError::from(Status::with_error_details(Code::InvalidArgument, "no", details));
        assert_eq!((error.code, error.reason), (Code::InvalidArgument, ErrorReason::VariablesMissing));
        assert_eq!((error.missing(), &*error.metadata["prompt"]), (vec!["age", "name"], "greet"));
        assert_eq!((error.retry_after, error.execution_id()), (Some(Duration::from_secs(2)), None));
        assert_eq!(error.to_string(), "no");
    }

    #[test]
    fn an_unknown_reason_leaves_the_code_to_decide_by() {
        let mut details = ErrorDetails::new();
        details.set_error_info("OF_TOMORROW", "promptledger.dev", []);
        let error = LedgerError::from(Status::with_error_details(Code::NotFound, "", details));
        assert_eq!((error.reason, &*error.reason_sent), (ErrorReason::Unspecified, "OF_TOMORROW"));
        assert_eq!((error.code, error.missing().len()), (Code::NotFound, 0));
        assert!(!error.to_string().is_empty());
    }

    #[test]
    fn what_ended_a_call_here_is_told_apart() {
        let late = Status::from_error(Box::new(TimeoutExpired(())));
        assert!(is_late(&late) && !is_unconnected(&late));
        assert_eq!(LedgerError::from(late).code, Code::DeadlineExceeded);
        let unconnected = Status::from_error(Box::new(ConnectError("refused".into())));
        assert!(is_unconnected(&unconnected) && !is_late(&unconnected));
        assert_eq!(LedgerError::from(unconnected).code, Code::Unavailable);
    }
}
