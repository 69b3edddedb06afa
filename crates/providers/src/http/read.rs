//! Reads an answer to its end, in whatever form it comes.

use std::borrow::Cow;
use std::mem::{replace, take};
use std::time::Duration;

use bytes::Bytes;
use prompt_ledger_domain::execution::ErrorType;
use prompt_ledger_domain::limits;
use tokio::time::timeout;

use super::answer::{AnswerSoFar, ReadDocument};
use super::body::{ResponseBody, too_large};
use super::budget::{BodyBudget, BodyRoom, SMALL_BYTES};
use super::frames::{BodyFrame, Decoder, FrameKind};
use super::json::Raw;
use super::outcome::CallFault;
use super::redact::Redactor;
use super::refusal;
use super::repair::repaired;
use crate::TextSink;

/// How long to wait for the end of the body after the last document: only a connection that was read to its end is
/// reused.
const LINGER: Duration = Duration::from_millis(100);
/// Documents after which other tasks have their turn.
const YIELD_EVERY: usize = 256;
/// The last event of an OpenAI stream.
const DONE: &[u8] = b"[DONE]";

/// The documents of an answer.
pub(super) struct AnswerReader {
    body: ResponseBody,
    budget: BodyBudget,
    decoder: Decoder,
    /// The share of the budget of the document that is being read.
    room: BodyRoom,
    /// The rest of the body's last piece.
    unread: Bytes,
    /// Documents that were read before the last one.
    before: usize,
    /// All documents so far, empty ones included.
    seen: usize,
    /// The body has ended, perhaps within the last document.
    at_end: bool,
}

impl AnswerReader {
    pub(super) fn new(body: ResponseBody, budget: BodyBudget) -> Self {
        let room = BodyRoom::new(&budget);
        Self {
            body,
            budget,
            decoder: Decoder::default(),
            room,
            unread: Bytes::new(),
            before: 0,
            seen: 0,
            at_end: false,
        }
    }

    /// Reads to the end of the answer. What it says is kept in `so_far`, and its text pushed to the sink as it arrives.
    pub(super) async fn read(
        mut self,
        mut sink: Option<&mut dyn TextSink>,
        so_far: &mut AnswerSoFar,
        redactor: &Redactor,
        dialect: ReadDocument,
    ) -> Result<(), CallFault> {
        let mut pushed = 0;
        while !so_far.is_complete() {
            let frame = match self.next().await {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(fault) if is_of_connection(&fault) && so_far.is_all_told() => break,
                Err(fault) => return Err(fault),
            };
            match frame.data.trim_ascii() {
                DONE => {
                    so_far.end();
                    self.linger().await;
                    break;
                }
                // Some servers send empty events to keep the connection alive.
                b"" if frame.kind != FrameKind::ErrorEvent => continue,
                _ => {}
            }
            let (length, is_first, at_end) = (frame.data.len(), self.before == 0, self.at_end);
            // A long document is the decoder's buffer, which takes its room along.
            let room = (length > SMALL_BYTES).then(|| replace(&mut self.room, BodyRoom::new(&self.budget)));
            let reading = move |so_far: &mut AnswerSoFar| {
                let read = understand(&frame, so_far, dialect, at_end);
                // In this order: the document occupies its room until it is dropped.
                drop(frame);
                drop(room);
                read
            };
            match self.budget.parse_into(so_far, length, reading).await? {
                // Cut off within its last document, the answer is what came before.
                Err(_) if at_end && !is_first => break,
                read => read?,
            }
            self.before += 1;
            if let Some(sink) = sink.as_deref_mut() {
                if take(&mut so_far.has_news) {
                    sink.told(so_far.details(redactor));
                }
                push(sink, so_far, &mut pushed);
                so_far.calls.push(sink, false);
            }
            if let Some(fault) = so_far.take_fault() {
                return Err(fault);
            }
            if so_far.is_complete() {
                self.linger().await;
            }
        }
        if self.before == 0 && self.decoder.saw_noise {
            return Err(CallFault::invalid_response("the provider's answer is neither JSON nor a stream of events"));
        }
        so_far.prose.flush();
        so_far.calls.flush();
        if let Some(sink) = sink {
            push(sink, so_far, &mut pushed);
            so_far.calls.push(sink, true);
        }
        so_far.check()
    }

    /// The next document.
    async fn next(&mut self) -> Result<Option<BodyFrame>, CallFault> {
        loop {
            let frame = match self.decoder.feed(&mut self.unread) {
                None if self.at_end => self.decoder.finish(),
                frame => frame,
            };
            let (is_bare, length) = match &frame {
                Some(frame) => (frame.kind == FrameKind::Bare, frame.data.len()),
                None => (self.decoder.is_in_object(), self.decoder.buffer.len()),
            };
            let (what, most) = match is_bare && self.before == 0 {
                true => ("answer", limits::PROVIDER_BODY_BYTES),
                false => ("event", limits::PROVIDER_EVENT_BYTES),
            };
            if length > most {
                return Err(too_large(what, most));
            }
            if frame.is_some() || self.at_end {
                // A piece of the body may hold very many, and none of them is waited for.
                self.seen += 1;
                if self.seen.is_multiple_of(YIELD_EVERY) {
                    tokio::task::yield_now().await;
                }
                return Ok(frame);
            }
            let Some(bytes) = self.body.piece().await? else {
                self.at_end = true;
                continue;
            };
            let length = self.decoder.buffer.len() + bytes.len();
            if length > SMALL_BYTES {
                self.room.hold(self.decoder.buffer.capacity()).await;
                self.room.reserve(&mut self.decoder.buffer, length, usize::MAX).await;
            }
            self.unread = bytes;
        }
    }

    /// The answer is complete: failures from here on do not matter.
    async fn linger(&mut self) {
        let end = async { while let Ok(Some(_)) = self.body.piece().await {} };
        let _ = timeout(LINGER, end).await;
    }
}

/// Whether the connection broke or fell silent.
fn is_of_connection(fault: &CallFault) -> bool {
    matches!(fault.error_type, ErrorType::Connection | ErrorType::Timeout)
}

/// Pushes the text behind what was pushed before.
fn push(sink: &mut dyn TextSink, so_far: &AnswerSoFar, pushed: &mut usize) {
    let text = so_far.prose.as_str();
    if let Some(delta) = text.get(*pushed..).filter(|delta| !delta.is_empty()) {
        sink.push(delta);
        *pushed = text.len();
    }
}

/// Reads one document; `at_end`: the body has ended behind it. One with a lexical fault is read once more without it.
fn understand(
    frame: &BodyFrame,
    so_far: &mut AnswerSoFar,
    dialect: ReadDocument,
    at_end: bool,
) -> Result<(), CallFault> {
    // The check alone is many times as fast as the replacement.
    let text = str::from_utf8(&frame.data).map_or_else(|_| String::from_utf8_lossy(&frame.data), Cow::Borrowed);
    if frame.kind == FrameKind::ErrorEvent {
        so_far.fail(refusal::told(&text));
        return Ok(());
    }
    so_far.begin_document();
    let was_whole = take(&mut so_far.is_whole);
    let read = read_value(&text, so_far, dialect).or_else(|error| match repaired(&text) {
        Some(fixed) => read_value(&fixed, so_far, dialect),
        None => Err(error),
    });
    so_far.is_whole = was_whole || so_far.is_whole && frame.kind == FrameKind::Bare;
    read.map_err(|error| match error.is_eof() && at_end {
        true => CallFault::new(ErrorType::Connection, "the provider's answer was cut off within its JSON"),
        false => CallFault::invalid_response(format!("the provider's answer is no JSON: {error}")),
    })
}

/// Reads an object, or each object of a list. Words in place of one may say what went wrong.
fn read_value(json: &str, so_far: &mut AnswerSoFar, dialect: ReadDocument) -> serde_json::Result<()> {
    if !json.trim_start().starts_with(['[', '"']) {
        return dialect(json, so_far);
    }
    let value = Raw::document(json)?;
    if let Some(words) = value.word()
        && so_far.aside.is_none()
    {
        so_far.aside = Some(words.into_owned());
    }
    let mut read = Ok(());
    value.each(|element: Raw<'_>| {
        if read.is_ok() {
            read = dialect(element.as_json(), so_far);
        }
    });
    read
}
