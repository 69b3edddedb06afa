//! Calls that answer once: their deadlines, and when they are made again.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Request, Response, Status};

use crate::LOG;
use crate::error::reason;
use crate::following::chance;
use crate::ledger_error::{LedgerError, is_late};
use crate::retry::{RetryDecision, RetryMoment, RetryWindow, StreamFailure};

/// When a call that failed is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Whenever the failure may pass: for what may be done twice.
    Freely,
    /// Where the server has not begun with it: for what would cost, or change, something twice.
    UnlessBegun,
}

impl Repeat {
    /// Freely where this holds.
    pub(crate) fn freely_if(safe: bool) -> Self {
        if safe { Self::Freely } else { Self::UnlessBegun }
    }

    fn decision(self, status: &Status) -> RetryDecision {
        let failure = StreamFailure::from(status.clone());
        let asked = failure.asked();
        if failure.has_not_begun() {
            return RetryDecision::Again(asked);
        }
        match self {
            Self::UnlessBegun => RetryDecision::Final,
            Self::Freely if is_late(status) => RetryDecision::Final,
            Self::Freely => match status.code() {
                Code::ResourceExhausted if asked.is_some() => RetryDecision::Again(asked),
                // For streams alone.
                Code::Aborted => RetryDecision::Final,
                _ => failure.verdict(),
            },
        }
    }
}

/// A call of a generated client: `asked!(client, executions.get_execution, request, limit, repeat)`.
macro_rules! asked {
    ($client:expr, $service:ident . $method:ident, $request:expr, $limit:expr, $repeat:expr) => {{
        let client = $client.clone();
        let name = concat!(stringify!($service), ".", stringify!($method));
        $crate::calls::call(name, $request, $limit, $repeat, move |request| {
            let mut service = client.$service();
            async move { service.$method(request).await }
        })
    }};
}
pub(crate) use asked;

/// Sends a request, and again where that is of use, until `limit` is over. The server is told how much of it is left. `name` is that of
/// the call, for the log.
pub(crate) async fn call<Q, A, F>(
    name: &'static str,
    request: Q,
    limit: Duration,
    repeat: Repeat,
    send: impl Fn(Request<Q>) -> F,
) -> Result<A, LedgerError>
where
    Q: Clone,
    F: Future<Output = Result<Response<A>, Status>>,
{
    let began = Instant::now();
    let mut window = RetryWindow::new(limit);
    loop {
        let left = limit.saturating_sub(began.elapsed());
        let mut asking = Request::new(request.clone());
        asking.set_timeout(left);
        let status = match timeout(left, send(asking)).await {
            Ok(Ok(answer)) => {
                tracing::debug!(target: LOG, call = name, took = ?began.elapsed(), "a call was answered");
                return Ok(answer.into_inner());
            }
            Ok(Err(status)) => status,
            Err(_) => {
                tracing::debug!(target: LOG, call = name, took = ?began.elapsed(), "a call was not answered in time");
                return Err(LedgerError::late(limit));
            }
        };
        let decision = repeat.decision(&status);
        let moment = RetryMoment { now: began.elapsed(), chance: chance() };
        let (code, said) = (status.code(), reason(&status));
        let said = said.as_deref().unwrap_or_default();
        match window.failed(status.clone().into(), decision, moment) {
            Ok(delay) if moment.now + delay < limit => {
                tracing::info!(target: LOG, call = name, ?code, reason = said, ?delay, "a call failed and is repeated");
                sleep(delay).await;
            }
            _ => {
                tracing::debug!(target: LOG, call = name, ?code, reason = said, took = ?moment.now, "a call failed");
                return Err(status.into());
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests state what a server answers")]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use tonic_types::{ErrorDetails, StatusExt as _};

    const LIMIT: Duration = Duration::from_secs(30);

    fn refused(code: Code, reason: &str, retry: Option<Duration>) -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info(reason, "promptledger.dev", []);
        if let Some(delay) = retry {
            details.set_retry_info(Some(delay));
        }
        Status::with_error_details(code, "no", details)
    }

    /// Calls a server that answers so, one after the other, and then `7`; the result, and how often it was asked.
    async fn asked(repeat: Repeat, answers: Vec<Status>) -> (Result<u8, LedgerError>, usize) {
        let answers = RefCell::new(VecDeque::from(answers));
        let times = RefCell::new(0);
        let answer = call("test", (), LIMIT, repeat, |request| {
            assert!(request.metadata().get("grpc-timeout").is_some());
            *times.borrow_mut() += 1;
            let answer = answers.borrow_mut().pop_front().map_or_else(|| Ok(Response::new(7)), Err);
            async move { answer }
        });
        let answer = answer.await;
        (answer, times.take())
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_be_done_twice_is_repeated_while_the_failure_may_pass() {
        for status in [
            refused(Code::Unavailable, "STORE_UNAVAILABLE", None),
            refused(Code::Unavailable, "DRAINING", Some(Duration::from_secs(1))),
            refused(Code::ResourceExhausted, "OVERLOADED", Some(Duration::from_secs(1))),
            refused(Code::ResourceExhausted, "RATE_LIMITED", Some(Duration::from_secs(1))),
            Status::unavailable("broken"),
            Status::internal("h2 protocol error"),
        ] {
            let (answer, times) = asked(Repeat::Freely, vec![status.clone(), status.clone()]).await;
            assert_eq!((answer, times), (Ok(7), 3), "{status:?}");
        }
    }

    /// The answer about `e1` found no room in the server.
    fn dropped() -> Status {
        let mut details = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
        details.set_error_info("OVERLOADED", "promptledger.dev", [("execution_id".to_owned(), "e1".to_owned())]);
        Status::with_error_details(Code::ResourceExhausted, "no room for the answer", details)
    }

    #[tokio::test(start_paused = true)]
    async fn what_costs_is_repeated_only_where_nothing_began() {
        for (status, times) in [
            (dropped(), 1),
            (refused(Code::Unavailable, "DRAINING", None), 2),
            (refused(Code::ResourceExhausted, "OVERLOADED", None), 2),
            (Status::from_error(Box::new(tonic::ConnectError("refused".into()))), 2),
            (refused(Code::Unavailable, "STORE_UNAVAILABLE", None), 1),
            (refused(Code::ResourceExhausted, "RATE_LIMITED", Some(Duration::ZERO)), 1),
            (Status::unavailable("broken"), 1),
            (Status::internal("h2 protocol error"), 1),
        ] {
            let (answer, asked) = asked(Repeat::UnlessBegun, vec![status.clone()]).await;
            assert_eq!((answer.is_ok(), asked), (times == 2, times), "{status:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_was_dropped_names_its_execution() {
        let (answer, _) = asked(Repeat::UnlessBegun, vec![dropped()]).await;
        assert_eq!(answer.unwrap_err().execution_id(), Some("e1"));
        // With a key of the caller's the repeat finds what was recorded.
        let (answer, times) = asked(Repeat::Freely, vec![dropped()]).await;
        assert_eq!((answer, times), (Ok(7), 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_told_at_once() {
        for status in [
            refused(Code::NotFound, "PROMPT_NOT_FOUND", None),
            refused(Code::ResourceExhausted, "TOO_LARGE", None),
            refused(Code::Aborted, "SLOW_CONSUMER", None),
            refused(Code::Internal, "INTERNAL", None),
        ] {
            let (answer, times) = asked(Repeat::Freely, vec![status.clone()]).await;
            assert_eq!((answer.unwrap_err().code, times), (status.code(), 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_bounds_all_attempts_together() {
        let began = Instant::now();
        let (answer, times) = asked(Repeat::Freely, vec![Status::unavailable("away"); 1_000]).await;
        assert_eq!(answer.unwrap_err().code, Code::Unavailable);
        assert!(times > 5 && began.elapsed() <= LIMIT, "{times} times in {:?}", began.elapsed());
        let silent =
            call("test", (), LIMIT, Repeat::Freely, |_| std::future::pending::<Result<Response<u8>, Status>>());
        assert_eq!(silent.await.unwrap_err().code, Code::DeadlineExceeded);
    }
}
