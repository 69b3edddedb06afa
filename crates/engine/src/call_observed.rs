//! A call of a provider as operators see it: in figures and as a span. How long it took, when its text began, what it used.

use std::time::Duration;

use prompt_ledger_domain::execution::ErrorType;
use prompt_ledger_observe::providers::{self, CallFailure, ProviderCall};
use prompt_ledger_observe::trace::{self, CallEnd, CallTrace, TracedWork};
use prompt_ledger_providers::{CallDetails, CallError, TextSink, ToolCallPiece};
use tokio::time::Instant;

use crate::attempt::Job;
use crate::outcome::{End, PartialAnswer, Written};

/// Hands everything on, and keeps when the first of it came.
pub(crate) struct FirstChunk<'a> {
    to: &'a mut dyn TextSink,
    at: &'a mut Option<Instant>,
}

impl<'a> FirstChunk<'a> {
    pub(crate) fn new(to: &'a mut dyn TextSink, at: &'a mut Option<Instant>) -> Self {
        Self { to, at }
    }
}

impl TextSink for FirstChunk<'_> {
    fn push(&mut self, delta: &str) {
        self.at.get_or_insert_with(Instant::now);
        self.to.push(delta);
    }

    fn push_call(&mut self, piece: ToolCallPiece<'_>) {
        self.at.get_or_insert_with(Instant::now);
        self.to.push_call(piece);
    }

    fn told(&mut self, details: CallDetails) {
        self.to.told(details);
    }
}

/// The span of a call that begins within this attempt.
pub(crate) fn begin(within: &TracedWork, job: &Job) -> TracedWork {
    trace::call(
        within,
        CallTrace {
            provider: &job.model.provider,
            place: job.provider.place(),
            model: &job.model.model_name,
            streams: job.stream_text && !job.whole,
            prompt: &job.subject.prompt_name,
            version: job.subject.version_number,
            input: &job.input,
        },
    )
}

fn tell(span: &mut TracedWork, end: &End, error_type: Option<&'static str>) {
    if !span.is_recorded() {
        return;
    }
    let (response_model, response_id, finish_reason, text, tool_calls, usage) = match end {
        End::Answered(told) => {
            (&told.response_model, &told.request_id, told.finish_reason, &told.text, &told.tool_calls, told.usage)
        }
        End::Failed(told) => (&told.response_model, &told.request_id, None, &told.text, &told.tool_calls, told.usage),
        End::Stopped(_, PartialAnswer { details, written, .. }) => {
            let Written { text, tool_calls, .. } = written;
            (&details.response_model, &details.request_id, None, text, tool_calls, details.usage)
        }
    };
    trace::call_ended(
        span,
        CallEnd { response_model, response_id, finish_reason, error_type, text, tool_calls, usage },
    );
}

/// Notes a call that took so long, and whose text began after `first_chunk` where it was streamed. One that was given up before it
/// was sent is none, nor one that we refuse ourselves; one that found nobody to send it to is.
pub(crate) fn note(span: &mut TracedWork, job: &Job, end: &End, took: Duration, first_chunk: Option<Duration>) {
    let (usage, error, is_call) = match end {
        End::Answered(answer) => (answer.usage, None, true),
        End::Failed(CallError { error_type, requests, usage, .. }) => {
            let is_refused = *requests == 0 && *error_type == ErrorType::InvalidRequest;
            (*usage, Some(CallFailure::Error(*error_type)), !is_refused)
        }
        End::Stopped(_, cut) => (cut.details.usage, Some(CallFailure::Aborted), cut.details.requests > 0),
    };
    let error_type = error.map(CallFailure::word);
    tell(span, end, error_type);
    if is_call {
        let (provider, model, is_registered) = (&*job.model.provider, &*job.model.model_name, job.price.is_some());
        providers::called(&ProviderCall { provider, model, is_registered, took, first_chunk, error, usage });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Untold;

    #[tokio::test(start_paused = true)]
    async fn the_first_piece_is_timed_and_all_are_handed_on() {
        let (mut untold, mut first, began) = (Untold::default(), None, Instant::now());
        let mut sink = FirstChunk::new(&mut untold, &mut first);
        sink.told(CallDetails { requests: 1, ..CallDetails::default() });
        tokio::time::advance(Duration::from_millis(30)).await;
        sink.push("one");
        tokio::time::advance(Duration::from_millis(30)).await;
        sink.push(" two");
        sink.push_call(ToolCallPiece { index: 0, offset: 0, id: "a", name: "b", arguments: "{}" });
        assert_eq!(first.map(|at| at - began), Some(Duration::from_millis(30)));
        assert_eq!(untold.details.requests, 1);
        let written = untold.held.end();
        assert_eq!((&*written.text, written.tool_calls.len()), ("one two", 1));
    }
}
