//! A call of a provider as operators see it: in figures and as a span. How long it took, when its text began, what it used.

use std::time::Duration;

use prompt_ledger_domain::chat::ChatMessage;
use prompt_ledger_domain::execution::{ErrorType, Input};
use prompt_ledger_domain::text;
use prompt_ledger_observe::providers::{self, CallFailure, ProviderCall};
use prompt_ledger_observe::trace::{self, CallEnd, CallTrace, TracedWork};
use prompt_ledger_providers::{CallDetails, CallError, TextSink, ToolCallPiece};
use tokio::time::Instant;

use crate::attempt::Job;
use crate::outcome::End;

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

/// The most bytes of a prompt or an answer in a span, where they are told.
const TEXT_BYTES: usize = 64 * 1024;

/// The span of a call that begins within this attempt.
pub(crate) fn begin(within: &TracedWork, job: &Job) -> TracedWork {
    let input = (trace::tells_text() && within.is_recorded()).then(|| match &job.input {
        Input::Prompt(prompt) => text::cut(prompt, TEXT_BYTES).to_owned(),
        Input::Messages(messages) => text::cut(&told(messages), TEXT_BYTES).to_owned(),
    });
    trace::call(
        within,
        CallTrace {
            provider: &job.model.provider,
            place: job.provider.place(),
            model: &job.model.model_name,
            streams: job.stream_text && !job.whole,
            prompt: &job.subject.prompt_name,
            version: job.subject.version_number,
            input: input.as_deref(),
        },
    )
}

/// Messages, each with its role.
fn told(messages: &[ChatMessage]) -> String {
    messages.iter().map(|message| format!("{}: {}\n", message.role, message.content)).collect()
}

fn tell(span: &mut TracedWork, end: &End, error_type: Option<&'static str>) {
    if !span.is_recorded() {
        return;
    }
    let details = |details: &CallDetails| (details.response_model.clone(), details.request_id.clone(), details.usage);
    let ((response_model, response_id, usage), finish_reason, output) = match end {
        End::Answered(answer) => (
            (answer.response_model.clone(), answer.request_id.clone(), answer.usage),
            answer.finish_reason,
            &answer.text,
        ),
        End::Failed(error) => {
            ((error.response_model.clone(), error.request_id.clone(), error.usage), None, &error.text)
        }
        End::Stopped(_, cut) => (details(&cut.details), None, &cut.written.text),
    };
    let finish_reason = finish_reason.map(<&str>::from);
    let output = trace::tells_text().then(|| text::cut(output, TEXT_BYTES));
    let (response_model, response_id) = (&*response_model, &*response_id);
    trace::call_ended(span, CallEnd { response_model, response_id, finish_reason, error_type, output, usage });
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
