//! What operators are told of attempts and executions: a line in the log, figures, a span. None of them contains a key or a text.

use prompt_ledger_domain::execution::{ErrorType, Event, ExecutionMode, Status};
use prompt_ledger_observe::executions::{self, EndedExecution};
use prompt_ledger_observe::providers;
use prompt_ledger_observe::trace::{self, AttemptTrace, TracedWork};
use prompt_ledger_store::{Ended, Fence, Finish, Requeue, Subject};
use tokio::time::Instant;

use crate::attempt::Job;
use crate::outcome::Outcome;

/// A line about an attempt that has ended. Its error's message is not part of it: providers quote what they were sent.
macro_rules! log {
    ($level:ident, $job:expr, $ended:expr, $event:expr, $what:literal) => {{
        let (job, ended, event): (&Job, &Ended, Event) = ($job, $ended, $event);
        let Subject { project, prompt_name, version_number, correlation_id, trace: _ } = &job.subject;
        tracing::event!(
            tracing::Level::$level,
            execution_id = %job.fence.id,
            project,
            prompt = prompt_name,
            version = version_number,
            attempt = event.attempt,
            correlation_id = Some(correlation_id).filter(|id| !id.is_empty()),
            provider = job.model.provider,
            model = job.model.model_name,
            latency_ms = ended.latency.map(|latency| u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)),
            prompt_tokens = ended.usage.prompt_tokens,
            response_tokens = ended.usage.response_tokens,
            status = %event.to,
            error_type = ended.error_type.map(<&str>::from),
            $what
        );
    }};
}

/// The span of an attempt that begins. It is of the caller's trace, or of one of its own where it was taken from the queue.
pub(crate) fn attempt_span(job: &Job, fence: Fence) -> TracedWork {
    trace::attempt(AttemptTrace {
        caller: job.subject.trace,
        is_queued: job.mode == ExecutionMode::Async,
        execution_id: &fence.id,
        attempt: fence.attempt,
        prompt: &job.subject.prompt_name,
        version: job.subject.version_number,
        project: &job.subject.project,
    })
}

/// What is decided after an attempt.
pub(crate) fn attempt_ended(span: &mut TracedWork, outcome: &Outcome) {
    let (status, error_type) = match outcome {
        Outcome::Finish(finish) => (finish.status.into(), finish.ended.error_type),
        Outcome::Requeue(requeue) => (Status::Queued.into(), requeue.ended.error_type),
        Outcome::Retry { ended, .. } => (Status::Running.into(), ended.error_type),
        Outcome::Leave => (Status::Running.into(), Some(ErrorType::Interrupted)),
    };
    trace::attempt_ended(span, status, error_type.map(<&str>::from));
}

/// An attempt that goes back into the queue, by its failure or by a shutdown.
pub(crate) fn requeued(job: &Job, requeue: &Requeue, event: Event) {
    match requeue.handed_back {
        true => executions::handed_back(),
        false => executions::retried(requeue.ended.error_type),
    }
    log!(INFO, job, &requeue.ended, event, "attempt ended");
}

/// The end of an execution with an attempt that failed, where a cancellation was asked for meanwhile. `began` is as in
/// [`ended`].
pub(crate) fn settled(job: &Job, ended: Ended, event: Event, began: Instant) {
    count(job, event, event.error_type, began);
    // Of the execution: the attempt's own error is in its record.
    let ended = Ended { error_type: event.error_type, ..ended };
    log!(INFO, job, &ended, event, "execution ended");
}

/// The end of an execution. `began` is when its recording or its claim was sent.
pub(crate) fn ended(job: &Job, finish: &Finish, event: Event, began: Instant) {
    count(job, event, finish.ended.error_type, began);
    if let Some(cost) = finish.cost_nano_usd {
        providers::cost(&job.model.provider, &job.model.model_name, cost);
    }
    // What else fails is the provider's, the request's or the caller's.
    match finish.ended.error_type {
        Some(ErrorType::Interrupted) => log!(WARN, job, &finish.ended, event, "execution ended"),
        _ => log!(INFO, job, &finish.ended, event, "execution ended"),
    }
}

/// Counts the end of an execution.
fn count(job: &Job, event: Event, error_type: Option<ErrorType>, began: Instant) {
    let took = job.created_at.map_or_else(|| began.elapsed(), |created| event.at.since(created));
    executions::ended(EndedExecution {
        mode: Some(job.mode),
        status: event.to,
        error_type,
        prompt: &job.subject.prompt_name,
        took: Some(took),
    });
}
