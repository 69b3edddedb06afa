//! The pure decision after an attempt: from how its call ended to what is written.

use std::time::Duration;

use prompt_ledger_domain::chat::ToolCall;
use prompt_ledger_domain::execution::{ErrorType, ExecutionMode, Failure, Status};
use prompt_ledger_domain::model::{Price, Usage};
use prompt_ledger_domain::retry::Policy;
use prompt_ledger_domain::{limits, text};
use prompt_ledger_providers::{Answer, CallDetails, CallError};
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
    /// As far as they were known.
    pub details: CallDetails,
    /// What the model had written, where it was streamed.
    pub written: Written,
}

/// What a model had written when its call ended without an answer; at most what is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub text: String,
    /// The calls that it had begun, as far as they came.
    pub tool_calls: Vec<ToolCall>,
    /// Whether it had written more than that.
    pub truncated: bool,
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
            response_model: answer.response_model,
            requests: answer.requests,
            usage: answer.usage,
            latency: Some(answer.latency),
        },
        response,
        tool_calls: answer.tool_calls,
        refused: answer.refused,
        response_truncated,
        finish_reason: answer.finish_reason,
        failure,
        cost_nano_usd: cost(answer.usage, around),
    }
}

fn failed(error: CallError, around: &AttemptContext<'_>) -> Finish {
    let ended = ended(&error);
    let CallError { text, tool_calls, truncated, refused, .. } = error;
    ending(Status::Failed, ended, Written { text, tool_calls, truncated }, refused, around)
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
    let PartialAnswer { details, written, .. } = cut.unwrap_or_default();
    let ended = Ended {
        error_type: reason.map(|(error_type, _)| error_type),
        error_message: reason.map(|(_, message)| message.to_owned()).unwrap_or_default(),
        provider_request_id: details.request_id,
        response_model: details.response_model,
        requests: details.requests,
        usage: details.usage,
        latency,
    };
    ending(status, ended, written, details.refused, around)
}

/// An end without an answer; what the model had written is kept, and whether it had written more.
fn ending(status: Status, ended: Ended, written: Written, refused: bool, around: &AttemptContext<'_>) -> Finish {
    let Written { text: response, tool_calls, truncated: response_truncated } = written;
    let cost_nano_usd = cost(ended.usage, around);
    let failure = ended.error_type.map(|error_type| Failure { error_type, message: ended.error_message.clone() });
    Finish {
        status,
        ended,
        response,
        tool_calls,
        refused,
        response_truncated,
        finish_reason: None,
        failure: failure.or_else(|| truncation(around.prompt_truncated, response_truncated)),
        cost_nano_usd,
    }
}

fn ended(error: &CallError) -> Ended {
    Ended {
        error_type: Some(error.error_type),
        error_message: error.message.clone(),
        provider_request_id: error.request_id.clone(),
        response_model: error.response_model.clone(),
        requests: error.requests,
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
mod tests;
