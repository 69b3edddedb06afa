//! The pure decision after an attempt: from how its call ended to what is written.

use std::time::Duration;

use prompt_ledger_domain::execution::{ErrorType, ExecutionMode, Failure, Status};
use prompt_ledger_domain::model::{Price, Usage};
use prompt_ledger_domain::retry::Policy;
use prompt_ledger_domain::{limits, text};
use prompt_ledger_providers::{Answer, CallError};
use prompt_ledger_store::{Ended, Finish, Requeue};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Answered(Answer),
    Failed(CallError),
    /// The call was aborted by this process.
    Stopped(Stop, PartialAnswer),
}

/// What is known of a call that was aborted by this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialAnswer {
    /// From the begin of the call to its abort.
    pub latency: Duration,
    /// As far as the provider had reported it.
    pub usage: Usage,
    /// Empty where the provider had not sent it.
    pub request_id: String,
    /// What the model had written, where it was streamed; at most what is stored.
    pub text: String,
}

/// Why this process aborted a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The caller disconnected, or a cancellation was requested.
    Canceled,
    /// The deadline of the inline call passed.
    CallerDeadline,
    Expired,
    Drained,
    /// Another process may have ended the execution already.
    LeaseLost,
}

/// What an outcome depends on, besides how the call ended.
#[derive(Clone, Debug)]
pub struct AttemptContext<'a> {
    /// A sync execution stays with its holder between attempts, an async one goes back into the queue.
    pub mode: ExecutionMode,
    /// The attempt that ended, from 1; handed-back attempts are not counted.
    pub attempt: i32,
    pub max_retries: i32,
    /// Sum over earlier attempts.
    pub used: Usage,
    /// Absent when no price is known; then there is no cost.
    pub price: Option<&'a Price>,
    /// The rendered prompt was cut at its limit.
    pub prompt_truncated: bool,
    pub policy: &'a Policy,
    /// In `[0, 1)`: varies the delay.
    pub jitter: f64,
    /// How long the execution may still run; absent without bound. A retry must begin before.
    pub time_left: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Finish(Finish),
    /// The attempt ends, and the execution goes back into the queue.
    Requeue(Requeue),
    /// Nothing is written: another process may hold the execution by now.
    Leave,
    /// The attempt ends, and its holder begins the next one.
    Retry {
        ended: Ended,
        /// Pause before the next attempt.
        after: Duration,
    },
}

#[must_use]
pub fn decide(end: End, around: &AttemptContext<'_>) -> Outcome {
    match end {
        End::Answered(answer) => Outcome::Finish(succeeded(answer, around)),
        End::Failed(error) => {
            let after = around.policy.delay(
                around.attempt,
                around.max_retries,
                error.error_type,
                error.retry_after,
                around.jitter,
            );
            match after.filter(|after| around.time_left.is_none_or(|left| *after < left)) {
                Some(after) if around.mode == ExecutionMode::Async => {
                    Outcome::Requeue(Requeue { ended: ended(&error), after, handed_back: false })
                }
                Some(after) => Outcome::Retry { ended: ended(&error), after },
                None => Outcome::Finish(failed(error, around)),
            }
        }
        End::Stopped(Stop::LeaseLost, _) if around.mode == ExecutionMode::Async => Outcome::Leave,
        End::Stopped(Stop::Drained, cut) if around.mode == ExecutionMode::Async => {
            let ended = stopped(Stop::Drained, Some(cut), around).ended;
            Outcome::Requeue(Requeue { ended, after: Duration::ZERO, handed_back: true })
        }
        End::Stopped(stop, cut) => Outcome::Finish(stopped(stop, Some(cut), around)),
    }
}

fn succeeded(answer: Answer, around: &AttemptContext<'_>) -> Finish {
    let mut response = answer.text;
    let response_truncated = text::truncate(&mut response, limits::RESPONSE_BYTES) || answer.truncated;
    let failure = truncation(around.prompt_truncated, response_truncated);
    Finish {
        status: Status::Succeeded,
        ended: Ended {
            error_type: None,
            error_message: String::new(),
            provider_request_id: answer.request_id,
            usage: answer.usage,
            latency: Some(answer.latency),
        },
        response,
        response_truncated,
        finish_reason: answer.finish_reason,
        failure,
        cost_nano_usd: cost(answer.usage, around),
    }
}

fn failed(error: CallError, around: &AttemptContext<'_>) -> Finish {
    let ended = ended(&error);
    let failure = Some((error.error_type, error.message));
    let finish = ending(Status::Failed, ended, failure, error.text, around);
    Finish { response_truncated: error.truncated, ..finish }
}

/// The end of an execution that this process stops, during a call or between two.
#[must_use]
pub fn stopped(stop: Stop, cut: Option<PartialAnswer>, around: &AttemptContext<'_>) -> Finish {
    let (status, reason) = match stop {
        Stop::Canceled => (Status::Canceled, None),
        Stop::CallerDeadline => {
            (Status::Failed, Some((ErrorType::Timeout, "the caller's deadline came before the model's answer")))
        }
        Stop::Expired => (Status::Failed, Some((ErrorType::Expired, "expire_after passed before the model's answer"))),
        Stop::Drained => (Status::Failed, Some((ErrorType::Interrupted, "the process was shut down during the call"))),
        Stop::LeaseLost => (Status::Failed, Some((ErrorType::Interrupted, "the lease was lost during the call"))),
    };
    let latency = cut.as_ref().map(|cut| cut.latency);
    let PartialAnswer { usage, request_id: provider_request_id, text, .. } = cut.unwrap_or_default();
    let ended = Ended {
        error_type: reason.map(|(error_type, _)| error_type),
        error_message: reason.map(|(_, message)| message.to_owned()).unwrap_or_default(),
        provider_request_id,
        usage,
        latency,
    };
    ending(status, ended, reason.map(|(error_type, message)| (error_type, message.to_owned())), text, around)
}

/// An end without an answer; what the model had written is kept.
fn ending(
    status: Status,
    ended: Ended,
    failure: Option<(ErrorType, String)>,
    response: String,
    around: &AttemptContext<'_>,
) -> Finish {
    let cost_nano_usd = cost(ended.usage, around);
    let failure = failure.map(|(error_type, message)| Failure { error_type, message });
    Finish {
        status,
        ended,
        response,
        response_truncated: false,
        finish_reason: None,
        failure: failure.or_else(|| truncation(around.prompt_truncated, false)),
        cost_nano_usd,
    }
}

fn ended(error: &CallError) -> Ended {
    Ended {
        error_type: Some(error.error_type),
        error_message: error.message.clone(),
        provider_request_id: error.request_id.clone(),
        usage: error.usage,
        latency: error.latency,
    }
}

/// Reports `truncated` where a text was cut and nothing else failed.
fn truncation(prompt: bool, response: bool) -> Option<Failure> {
    let what = match (prompt, response) {
        (false, false) => return None,
        (true, false) => "the rendered prompt was cut at 200 KB",
        (false, true) => "the response was cut at 500 KB",
        (true, true) => "the rendered prompt was cut at 200 KB, the response at 500 KB",
    };
    Some(Failure { error_type: ErrorType::Truncated, message: what.to_owned() })
}

fn cost(last: Usage, around: &AttemptContext<'_>) -> Option<i64> {
    around.used.plus(last).cost(around.price?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prompt_ledger_domain::Timestamp;
    use prompt_ledger_domain::execution::FinishReason;
    use prompt_ledger_domain::ids::PriceId;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn price() -> Price {
        let id = PriceId(prompt_ledger_runtime::new_id());
        Price { id, input: 1_000_000, cached_input: None, output: 2_000_000, valid_from: Timestamp(0) }
    }

    fn used(prompt: i32, response: i32) -> Usage {
        Usage { prompt_tokens: Some(prompt), cached_prompt_tokens: None, response_tokens: Some(response) }
    }

    fn around<'a>(policy: &'a Policy, price: Option<&'a Price>) -> AttemptContext<'a> {
        AttemptContext {
            mode: ExecutionMode::Sync,
            attempt: 1,
            max_retries: 3,
            used: Usage::default(),
            price,
            prompt_truncated: false,
            policy,
            jitter: 0.5,
            time_left: None,
        }
    }

    fn answer(text: &str) -> End {
        End::Answered(Answer {
            text: text.into(),
            truncated: false,
            tool_calls: vec![],
            refused: false,
            usage: used(3, 4),
            finish_reason: Some(FinishReason::Stop),
            request_id: "req-1".into(),
            latency: S(1),
        })
    }

    fn cut() -> PartialAnswer {
        PartialAnswer { latency: S(1), usage: used(3, 4), request_id: "req-3".into(), text: "half".into() }
    }

    fn error(error_type: ErrorType) -> CallError {
        CallError {
            error_type,
            message: "no".into(),
            retry_after: None,
            request_id: "req-2".into(),
            usage: Usage::default(),
            text: "half an".into(),
            truncated: true,
            latency: Some(S(2)),
        }
    }

    fn finish(end: End, around: &AttemptContext<'_>) -> Finish {
        match decide(end, around) {
            Outcome::Finish(finish) => finish,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_answer_succeeds_with_its_cost_over_all_attempts() {
        let (policy, price) = (Policy::default(), price());
        let around = AttemptContext { used: used(1, 1), ..around(&policy, Some(&price)) };
        let finish = finish(answer("hello"), &around);
        assert_eq!((finish.status, &*finish.response, finish.response_truncated), (Status::Succeeded, "hello", false));
        assert_eq!((finish.failure, finish.cost_nano_usd), (None, Some(4 + 2 * 5)));
        assert_eq!(finish.ended.usage, used(3, 4));
        assert_eq!((&*finish.ended.provider_request_id, finish.finish_reason), ("req-1", Some(FinishReason::Stop)));
    }

    #[test]
    fn without_a_price_there_is_no_cost() {
        assert_eq!(finish(answer("x"), &around(&Policy::default(), None)).cost_nano_usd, None);
    }

    #[test]
    fn what_is_cut_is_said_and_the_status_stays() {
        let policy = Policy::default();
        let long = "x".repeat(limits::RESPONSE_BYTES + 1);
        for (text, prompt_truncated, said) in [
            (&*long, false, "the response was cut at 500 KB"),
            ("x", true, "the rendered prompt was cut at 200 KB"),
            (&*long, true, "the rendered prompt was cut at 200 KB, the response at 500 KB"),
        ] {
            let around = AttemptContext { prompt_truncated, ..around(&policy, None) };
            let finish = finish(answer(text), &around);
            assert_eq!(finish.status, Status::Succeeded);
            assert_eq!(finish.response.len(), text.len().min(limits::RESPONSE_BYTES));
            let failure = finish.failure.unwrap();
            assert_eq!((failure.error_type, &*failure.message), (ErrorType::Truncated, said));
        }
    }

    #[test]
    fn what_the_provider_left_out_is_said() {
        let End::Answered(answer) = answer("x") else { panic!() };
        let finish = finish(End::Answered(Answer { truncated: true, ..answer }), &around(&Policy::default(), None));
        assert_eq!((&*finish.response, finish.response_truncated), ("x", true));
        assert_eq!(finish.failure.unwrap().error_type, ErrorType::Truncated);
    }

    #[test]
    fn what_may_pass_is_tried_again_until_the_budget_is_spent() {
        let policy = Policy::default();
        let end = || End::Failed(error(ErrorType::ProviderError));
        let first = decide(end(), &around(&policy, None));
        assert!(matches!(&first, Outcome::Retry { after, ended } if *after == S(5) && ended.error_type.is_some()));
        let spent = AttemptContext { attempt: 4, ..around(&policy, None) };
        let finish = finish(end(), &spent);
        assert_eq!((finish.status, finish.failure.unwrap().error_type), (Status::Failed, ErrorType::ProviderError));
        assert_eq!((&*finish.response, finish.response_truncated), ("half an", true), "what was written is kept");
    }

    #[test]
    fn an_async_execution_goes_back_into_the_queue_between_attempts() {
        let policy = Policy::default();
        let around = AttemptContext { mode: ExecutionMode::Async, ..around(&policy, None) };
        let requeued = |end| match decide(end, &around) {
            Outcome::Requeue(requeue) => (requeue.ended.error_type, requeue.after, requeue.handed_back),
            other => panic!("{other:?}"),
        };
        let failed = End::Failed(error(ErrorType::ProviderError));
        assert_eq!(requeued(failed), (Some(ErrorType::ProviderError), S(5), false));
        let drained = End::Stopped(Stop::Drained, cut());
        assert_eq!(requeued(drained), (Some(ErrorType::Interrupted), S(0), true));
        assert_eq!(decide(End::Stopped(Stop::LeaseLost, cut()), &around), Outcome::Leave);
        assert!(matches!(decide(End::Stopped(Stop::Canceled, cut()), &around), Outcome::Finish(_)));
    }

    #[test]
    fn a_retry_that_would_begin_too_late_is_not_made() {
        let policy = Policy::default();
        let hurried = AttemptContext { time_left: Some(S(5)), ..around(&policy, None) };
        let finish = finish(End::Failed(error(ErrorType::Timeout)), &hurried);
        assert_eq!((finish.status, finish.ended.latency), (Status::Failed, Some(S(2))));
    }

    #[test]
    fn a_stopped_call_says_why_and_what_it_had_used() {
        let (policy, price) = (Policy::default(), price());
        for (stop, status, error_type) in [
            (Stop::Canceled, Status::Canceled, None),
            (Stop::CallerDeadline, Status::Failed, Some(ErrorType::Timeout)),
            (Stop::Expired, Status::Failed, Some(ErrorType::Expired)),
            (Stop::Drained, Status::Failed, Some(ErrorType::Interrupted)),
            (Stop::LeaseLost, Status::Failed, Some(ErrorType::Interrupted)),
        ] {
            let finish = finish(
                End::Stopped(stop, cut()),
                &AttemptContext { used: used(1, 1), ..around(&policy, Some(&price)) },
            );
            let Ended { usage, provider_request_id, latency, .. } = &finish.ended;
            assert_eq!((*usage, &**provider_request_id, *latency), (used(3, 4), "req-3", Some(S(1))));
            assert_eq!(finish.cost_nano_usd, Some(4 + 2 * 5), "of all attempts");
            assert_eq!((finish.status, finish.failure.map(|f| f.error_type)), (status, error_type), "{stop:?}");
            assert_eq!((finish.ended.error_type, &*finish.response), (error_type, "half"));
        }
        let short = AttemptContext { prompt_truncated: true, ..around(&policy, None) };
        let finish = stopped(Stop::Canceled, None, &short);
        assert_eq!(finish.failure.unwrap().error_type, ErrorType::Truncated);
        assert_eq!((finish.ended.usage, finish.ended.latency), (Usage::default(), None), "between two calls");
    }
}
