//! Reads a streamed answer.

use std::mem::take;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prompt_ledger_domain::execution::{ErrorType, FinishReason};
use prompt_ledger_domain::model::Usage;
use prompt_ledger_domain::{limits, text};
use serde::de::IgnoredAny;
use tokio::time::timeout;

use super::body::ResponseBody;
use super::budget::BodyRoom;
use super::outcome::{CallFault, ReadAnswer, ToldSoFar, without_nul};
use super::redact::Redactor;
use super::sse::Decoder;
use crate::TextSink;

/// How long to wait for the end of the body after the last event: only a connection that was read to its end is reused.
const LINGER: Duration = Duration::from_millis(100);
/// The data of the last event of an OpenAI stream.
const DONE: &str = "[DONE]";

/// Bounds the silence of a stream. A call's own timeout bounds it too.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadTimeouts {
    began: Instant,
    /// From the request to the first event.
    first: Duration,
    /// Between any two reads; comments count as activity.
    idle: Duration,
}

impl ReadTimeouts {
    pub(super) fn begin(first: Duration, idle: Duration) -> Self {
        Self { began: Instant::now(), first, idle }
    }

    /// Waits for what must come before the first event.
    pub(super) async fn first<T>(&self, coming: impl Future<Output = Result<T, CallFault>>) -> Result<T, CallFault> {
        let left = self.first.saturating_sub(self.began.elapsed());
        timeout(left, coming).await.unwrap_or_else(|_| {
            let message = format!("the provider had not begun to answer after {:?}", self.first);
            Err(CallFault::new(ErrorType::Timeout, message))
        })
    }

    async fn next<T>(&self, coming: impl Future<Output = Result<T, CallFault>>) -> Result<T, CallFault> {
        timeout(self.idle, coming).await.unwrap_or_else(|_| {
            let message = format!("the provider fell silent within its answer: nothing came for {:?}", self.idle);
            Err(CallFault::new(ErrorType::Timeout, message))
        })
    }
}

/// The events of an answer.
#[derive(Debug)]
pub(crate) struct EventReader {
    body: ResponseBody,
    /// Whether the header declares an event stream.
    is_declared: bool,
    timeouts: ReadTimeouts,
    redactor: Arc<Redactor>,
    decoder: Decoder,
    /// The share of the budget of the event that is being read.
    room: BodyRoom,
    /// The rest of the body's last piece.
    unread: Bytes,
    begun: bool,
}

/// What one event adds to the answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Delta {
    /// May be empty.
    pub(crate) text: String,
    /// Absent until the model has stopped.
    pub(crate) finish_reason: Option<FinishReason>,
    /// Total so far, as far as reported.
    pub(crate) usage: Usage,
    /// The request id; empty where not reported.
    pub(crate) id: String,
    /// Whether it is the last event.
    pub(crate) is_last: bool,
}

impl EventReader {
    pub(super) fn new(body: ResponseBody, is_declared: bool, timeouts: ReadTimeouts, redactor: Arc<Redactor>) -> Self {
        let (decoder, unread) = Default::default();
        let room = BodyRoom::new(&body.budget);
        let body = ResponseBody { most: limits::PROVIDER_STREAM_BYTES, ..body };
        Self { body, is_declared, timeouts, redactor, decoder, room, unread, begun: false }
    }

    /// Reads to the end of the stream; without a finish reason that is a failure. Text is pushed to the sink as it
    /// arrives, and no more of it is kept than is stored. Usage and id are kept in `told` for when the call is cut off.
    /// `understand` parses one event's data.
    pub(crate) async fn read(
        mut self,
        sink: &mut dyn TextSink,
        told: &mut ToldSoFar,
        mut understand: impl FnMut(&str) -> Result<Delta, CallFault> + Send + 'static,
    ) -> Result<ReadAnswer, CallFault> {
        self.body.request_id.clone_into(&mut told.request_id);
        sink.told(told.usage, &self.redactor.request_id(told.request_id.clone()));
        let (mut text, mut truncated) = (String::new(), false);
        let mut finish_reason = None;
        while let Some(data) = self.next().await? {
            let length = data.len();
            if data.trim() == DONE {
                self.linger().await;
                break;
            }
            let understanding = move || (understand(&data), understand);
            let delta;
            (delta, understand) = self.body.budget.parse(length, understanding).await?;
            let delta = delta?;
            let is_news = told.request_id.is_empty() && !delta.id.is_empty() || delta.usage != Usage::default();
            if told.request_id.is_empty() {
                told.request_id = delta.id;
            }
            if delta.usage != Usage::default() {
                told.usage = delta.usage;
            }
            if is_news {
                sink.told(told.usage, &self.redactor.request_id(told.request_id.clone()));
            }
            finish_reason = delta.finish_reason.or(finish_reason);
            let piece = without_nul(delta.text);
            if !truncated {
                let fits;
                (fits, truncated) = text::push_within(&mut text, &piece, limits::RESPONSE_BYTES);
                if !fits.is_empty() {
                    sink.push(fits);
                }
            }
            if delta.is_last {
                self.linger().await;
                break;
            }
        }
        if finish_reason.is_none() {
            let message = "the provider's stream ended without saying why: the answer may be incomplete";
            return Err(CallFault::new(ErrorType::Connection, message));
        }
        Ok(ReadAnswer { text, truncated, usage: told.usage, finish_reason, request_id: take(&mut told.request_id) })
    }

    /// The data of the next event.
    async fn next(&mut self) -> Result<Option<String>, CallFault> {
        loop {
            while let Some(data) = self.decoder.feed(&mut self.unread) {
                // Some servers send empty events to keep the connection alive.
                if !data.trim().is_empty() {
                    self.begun = true;
                    return Ok(Some(data));
                }
            }
            if self.decoder.buffer.len() > limits::PROVIDER_EVENT_BYTES {
                let most = limits::PROVIDER_EVENT_BYTES;
                let message = format!("an event of the provider's stream is longer than {most} bytes");
                return Err(CallFault::new(ErrorType::ResponseTooLarge, message));
            }
            // Earlier events have been parsed.
            self.room.hold(self.decoder.buffer.capacity()).await;
            let Some(bytes) = self.piece().await? else { return self.rest().await };
            let length = self.decoder.buffer.len() + bytes.len();
            self.room.reserve(&mut self.decoder.buffer, length, usize::MAX).await;
            self.unread = bytes;
        }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, CallFault> {
        let coming = self.body.piece();
        if self.begun { self.timeouts.next(coming).await } else { self.timeouts.first(coming).await }
    }

    /// The body has ended, perhaps within an event: what is no JSON was cut off.
    async fn rest(&mut self) -> Result<Option<String>, CallFault> {
        let rest = take(&mut self.decoder).finish().unwrap_or_default();
        let uncut = |rest: String| serde_json::from_str::<IgnoredAny>(&rest).is_ok().then_some(rest);
        let rest = self.body.budget.parse(rest.len(), move || uncut(rest)).await?;
        self.begun |= rest.is_some();
        if self.begun || self.is_declared {
            Ok(rest)
        } else {
            Err(CallFault::invalid_response("the provider's answer is neither JSON nor a stream of events"))
        }
    }

    /// The text is complete: failures from here on do not matter.
    async fn linger(&mut self) {
        let end = async { while let Ok(Some(_)) = self.body.piece().await {} };
        let _ = timeout(LINGER, end).await;
    }
}

/// Pushes an answer that came whole although a stream was asked for.
pub(crate) fn at_once(reading: ReadAnswer, sink: &mut dyn TextSink) -> ReadAnswer {
    let mut text = without_nul(reading.text);
    let truncated = text::truncate(&mut text, limits::RESPONSE_BYTES);
    if !text.is_empty() {
        sink.push(&text);
    }
    ReadAnswer { text, truncated, ..reading }
}
