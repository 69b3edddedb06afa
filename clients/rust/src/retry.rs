//! Decides when to retry and when to give up. Pure: time and randomness are arguments.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::error::{WatchError, reason};
use crate::ledger_error::is_unconnected;

/// The delay after the first failure, and the longest one; between them it doubles.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// Bounds the delay that a server asks for.
const LONGEST_ASKED: Duration = Duration::from_secs(3_600);

/// The time of an event since the watch began, and a random number from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryMoment {
    pub(crate) now: Duration,
    pub(crate) chance: f64,
}

/// Why a stream cannot be read further.
#[derive(Clone, Debug)]
pub(crate) enum StreamFailure {
    /// It ended with an error, or could not be opened.
    Status(Box<Status>),
    /// It ended without an error, before its last event.
    Cut,
    /// No event arrived for [`Options::silence`](crate::Options).
    Silent,
    /// An event or text is missing.
    Gap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryDecision {
    /// Retry, after the delay that the server asked for, if it did.
    Again(Option<Duration>),
    /// A retry would fail too.
    Final,
}

impl From<Status> for StreamFailure {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl StreamFailure {
    pub(crate) fn verdict(&self) -> RetryDecision {
        let Self::Status(status) = self else { return RetryDecision::Again(None) };
        let reason = reason(status);
        match status.code() {
            Code::Unavailable => RetryDecision::Again(self.asked()),
            Code::Aborted if reason.as_deref() == Some("SLOW_CONSUMER") => RetryDecision::Again(None),
            // The server gives each of its own errors a reason: without one, the connection broke.
            Code::Unknown | Code::Internal | Code::Cancelled if reason.is_none() => RetryDecision::Again(None),
            _ => RetryDecision::Final,
        }
    }

    /// Whether the server has done nothing of what it was asked for, and will where it is asked again.
    pub(crate) fn has_not_begun(&self) -> bool {
        let Self::Status(status) = self else { return false };
        is_unconnected(status) || is_refused(status)
    }

    /// The delay that the server asked for; absent where it did not.
    pub(crate) fn asked(&self) -> Option<Duration> {
        let Self::Status(status) = self else { return None };
        status.get_details_retry_info().and_then(|info| info.retry_delay)
    }

    /// As a sentence.
    fn cause(&self) -> String {
        match self {
            Self::Status(status) if !status.message().is_empty() => status.message().to_owned(),
            Self::Status(status) => status.code().description().to_owned(),
            Self::Cut => "the stream ended before the execution".to_owned(),
            Self::Silent => "the server said nothing, not even that it lives".to_owned(),
            Self::Gap => "the stream left something out".to_owned(),
        }
    }

    /// The error where no retry is made.
    pub(crate) fn last(self) -> WatchError {
        match (self.verdict(), self) {
            (RetryDecision::Final, Self::Status(status)) => WatchError::Refused(status),
            (_, other) => WatchError::NotResumable(other.cause()),
        }
    }
}

/// Whether the server refused the call before it did anything of it.
fn is_refused(status: &Status) -> bool {
    let Some(info) = status.get_details_error_info() else { return false };
    // One about an execution that is recorded is no refusal: its answer alone was dropped.
    matches!(&*info.reason, "DRAINING" | "OVERLOADED") && !info.metadata.contains_key("execution_id")
}

/// Bounds how long a watch retries without progress.
#[derive(Clone, Debug)]
pub(crate) struct RetryWindow {
    limit: Duration,
    /// The time of the first failure since the last progress.
    failing_since: Option<Duration>,
    failures: u32,
}

impl RetryWindow {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, failing_since: None, failures: 0 }
    }

    /// Resets the window.
    pub(crate) fn progressed(&mut self) {
        (self.failing_since, self.failures) = (None, 0);
    }

    /// The delay before the next retry, or the error of giving up.
    pub(crate) fn failed(
        &mut self,
        failure: StreamFailure,
        verdict: RetryDecision,
        moment: RetryMoment,
    ) -> Result<Duration, WatchError> {
        let RetryDecision::Again(asked) = verdict else { return Err(failure.last()) };
        let since = *self.failing_since.get_or_insert(moment.now);
        let delay = match asked {
            // Never earlier than asked, and spread over time.
            Some(asked) => asked.clamp(FIRST, LONGEST_ASKED).mul_f64(1.0 + 0.2 * moment.chance),
            None => FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST).mul_f64(0.5 + 0.5 * moment.chance),
        };
        self.failures = self.failures.saturating_add(1);
        let after = moment.now.saturating_sub(since);
        match after + delay <= self.limit {
            true => Ok(delay),
            false => Err(WatchError::GaveUp { after, cause: failure.cause() }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests state what a server answers")]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    fn status(code: Code, reason: &str, retry: Option<Duration>) -> StreamFailure {
        let mut details = ErrorDetails::new();
        details.set_error_info(reason, "promptledger.dev", []);
        if let Some(delay) = retry {
            details.set_retry_info(Some(delay));
        }
        Status::with_error_details(code, "said so", details).into()
    }

    /// A failure that may pass, at the end of a stream without an error.
    fn cut(patience: &mut RetryWindow, moment: RetryMoment) -> Result<Duration, WatchError> {
        patience.failed(StreamFailure::Cut, RetryDecision::Again(None), moment)
    }

    fn at(seconds: u64, chance: f64) -> RetryMoment {
        RetryMoment { now: Duration::from_secs(seconds), chance }
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_may_not_is_final() {
        let second = Duration::from_secs(1);
        for (failure, verdict) in [
            (status(Code::Unavailable, "DRAINING", Some(second)), RetryDecision::Again(Some(second))),
            (status(Code::Unavailable, "STORE_UNAVAILABLE", None), RetryDecision::Again(None)),
            (Status::unavailable("tcp connect error").into(), RetryDecision::Again(None)),
            (status(Code::Aborted, "SLOW_CONSUMER", None), RetryDecision::Again(None)),
            (Status::unknown("transport error").into(), RetryDecision::Again(None)),
            (Status::internal("h2 protocol error").into(), RetryDecision::Again(None)),
            (Status::cancelled("operation was canceled").into(), RetryDecision::Again(None)),
            (StreamFailure::Cut, RetryDecision::Again(None)),
            (StreamFailure::Silent, RetryDecision::Again(None)),
            (StreamFailure::Gap, RetryDecision::Again(None)),
            (status(Code::Internal, "INTERNAL", None), RetryDecision::Final),
            (status(Code::Aborted, "ETAG_MISMATCH", None), RetryDecision::Final),
            (status(Code::NotFound, "EXECUTION_NOT_FOUND", None), RetryDecision::Final),
            (status(Code::OutOfRange, "SEQUENCE_AHEAD", None), RetryDecision::Final),
            (status(Code::Unauthenticated, "KEY_INVALID", None), RetryDecision::Final),
            (status(Code::ResourceExhausted, "TOO_MANY_WATCHERS", Some(second)), RetryDecision::Final),
            (Status::unimplemented("").into(), RetryDecision::Final),
        ] {
            assert_eq!(failure.verdict(), verdict, "{failure:?}");
        }
    }

    #[test]
    fn delays_grow_to_five_seconds_with_jitter() {
        let millis = |chance: f64| {
            let mut patience = RetryWindow::new(Duration::MAX);
            let delays = (0..40).map(|_| cut(&mut patience, at(0, chance)).unwrap().as_millis());
            delays.collect::<Vec<_>>()
        };
        assert_eq!(millis(1.0)[..8], [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(millis(0.0)[..3], [50, 100, 200]);
        assert_eq!(millis(1.0)[39], 5_000);
    }

    #[test]
    fn the_delay_that_a_server_asks_for_is_kept_to_and_spread() {
        for (asked, chance, millis) in
            [(0, 0.0, 100), (1_000, 0.0, 1_000), (1_000, 1.0, 1_200), (u64::MAX, 0.0, 3_600_000)]
        {
            let failure = status(Code::Unavailable, "DRAINING", Some(Duration::from_millis(asked)));
            let delay =
                RetryWindow::new(Duration::MAX).failed(failure.clone(), failure.verdict(), at(0, chance)).unwrap();
            assert_eq!(delay.as_millis(), millis);
        }
    }

    #[test]
    fn patience_ends_a_while_after_the_last_progress() {
        let mut patience = RetryWindow::new(Duration::from_secs(60));
        cut(&mut patience, at(100, 1.0)).unwrap();
        cut(&mut patience, at(159, 1.0)).unwrap();
        patience.progressed();
        assert_eq!(cut(&mut patience, at(200, 1.0)).unwrap(), FIRST);
        cut(&mut patience, at(259, 1.0)).unwrap();
        let error = patience.failed(StreamFailure::Silent, RetryDecision::Again(None), at(260, 1.0)).unwrap_err();
        let said = error.to_string();
        assert_eq!(said, "gave up after 60 s without news: the server said nothing, not even that it lives");
        assert!(error.status().is_none() && error.reason().is_none());
    }

    #[test]
    fn the_last_error_says_what_happened() {
        for (failure, said) in [
            (
                StreamFailure::Cut,
                "the stream broke, and without an idempotency key nothing goes on: the stream ended before",
            ),
            (StreamFailure::Gap, "the stream broke, and without an idempotency key nothing goes on: the stream left"),
            (
                Status::unavailable("").into(),
                "the stream broke, and without an idempotency key nothing goes on: The se",
            ),
            (status(Code::NotFound, "PROMPT_NOT_FOUND", None), "said so"),
        ] {
            let error = failure.last().to_string();
            assert!(error.starts_with(said), "{error}");
        }
        let refused = status(Code::NotFound, "PROMPT_NOT_FOUND", None).last();
        assert_eq!(refused.reason().unwrap(), "PROMPT_NOT_FOUND");
    }
}
