//! Server-sent events: the body of a stream.

use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::Stream;
use http::HeaderName;
use http::header::CONTENT_TYPE;
use http_body::Frame;
use prompt_ledger_domain::{Error, Result};
use serde::Serialize;
use tokio::time::{Instant, Sleep};
use tonic::Status;

use super::error::HttpError;

/// The content type of a stream.
pub(super) const CONTENT: &str = "text/event-stream";
/// How often a stream sends a comment, which keeps proxies from closing it.
const COMMENT_INTERVAL: Duration = Duration::from_secs(15);
const COMMENT: &[u8] = b":\n\n";
/// Tells nginx to pass events on as they come.
const NO_BUFFERING: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// An event, in the form of the wire.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SseEvent(String);

impl SseEvent {
    /// An event of this kind. `id`, where there is one, is what a client that lost the stream goes on from.
    pub(super) fn new(kind: &str, id: Option<&str>, data: &impl Serialize) -> Result<Self> {
        let data = one_line(serde_json::to_string(data).map_err(Error::internal)?);
        let mut text = String::with_capacity(data.len() + 64);
        if let Some(id) = id {
            // Writing to a string does not fail.
            let _ = writeln!(text, "id: {id}");
        }
        let _ = write!(text, "event: {kind}\ndata: {data}\n\n");
        Ok(Self(text))
    }

    /// The event that ends a stream with an error: its body, and the delay that the server asks for.
    pub(super) fn failure(error: Error) -> Self {
        let HttpError { retry_after, body, .. } = HttpError::from(error);
        let retry = retry_after.map(|delay| format!("retry: {}\n", delay.as_millis())).unwrap_or_default();
        let data = serde_json::to_string(&body).unwrap_or_default();
        Self(format!("event: failure\n{retry}data: {data}\n\n"))
    }

    #[cfg(test)]
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// This event, and another one behind it.
    pub(super) fn then(mut self, next: &Self) -> Self {
        self.0.push_str(&next.0);
        self
    }
}

/// JSON without line breaks, which would end its line of an event. Within texts JSON escapes them; between its parts, where
/// a schema is kept as it was written, they are blanks.
fn one_line(json: String) -> String {
    match json.contains(['\n', '\r']) {
        true => json.replace(['\n', '\r'], " "),
        false => json,
    }
}

/// The response of these events. An error ends it with a `failure`.
pub(super) fn respond(events: impl Stream<Item = Result<SseEvent>> + Send + 'static) -> Response {
    let comment = Box::pin(tokio::time::sleep(COMMENT_INTERVAL));
    let body = SseBody { events: Some(Box::pin(events)), comment };
    ([(CONTENT_TYPE, CONTENT), NO_BUFFERING], Body::new(body)).into_response()
}

struct SseBody<S> {
    /// Absent once the stream has ended.
    events: Option<Pin<Box<S>>>,
    /// When the next comment is due.
    comment: Pin<Box<Sleep>>,
}

impl<S: Stream<Item = Result<SseEvent>>> http_body::Body for SseBody<S> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(events) = &mut this.events else { return Poll::Ready(None) };
        let text = match events.as_mut().poll_next(cx) {
            Poll::Ready(None) => {
                this.events = None;
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Ok(event))) => Bytes::from(event.0),
            Poll::Ready(Some(Err(error))) => {
                this.events = None;
                Bytes::from(SseEvent::failure(error).0)
            }
            Poll::Pending => {
                futures::ready!(this.comment.as_mut().poll(cx));
                this.comment.as_mut().reset(Instant::now() + COMMENT_INTERVAL);
                // Registers for the next one.
                if this.comment.as_mut().poll(cx).is_ready() {
                    cx.waker().wake_by_ref();
                }
                Bytes::from_static(COMMENT)
            }
        };
        Poll::Ready(Some(Ok(Frame::data(text))))
    }
}

/// The end of a stream that a limit of the server ends, in the form of [`Answers`](crate::front::answers::Answers).
pub(super) fn ended(error: Error) -> Result<Frame<Bytes>, Status> {
    Ok(Frame::data(Bytes::from(SseEvent::failure(error).0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;
    use http_body_util::BodyExt as _;
    use prompt_ledger_domain::Reason;
    use serde_json::json;

    #[test]
    fn an_event_is_one_block_whatever_its_data_says() {
        let event = SseEvent::new("text_delta", Some("7"), &json!({"text": "a\nb\r\n\nid: 9"})).unwrap();
        assert_eq!(event.0, "id: 7\nevent: text_delta\ndata: {\"text\":\"a\\nb\\r\\n\\nid: 9\"}\n\n");
        let schema = serde_json::value::RawValue::from_string("{\r\n\n  \"a\":\r\"b\\n\"}".into()).unwrap();
        let raw = SseEvent::new("x", None, &schema).unwrap();
        assert_eq!(raw.0, "event: x\ndata: {     \"a\": \"b\\n\"}\n\n");
        let two = SseEvent::new("synced", None, &json!({})).unwrap().then(&event);
        assert!(two.0.starts_with("event: synced\ndata: {}\n\nid: 7\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_stream_sends_a_comment_every_15_seconds() {
        let began = Instant::now();
        let mut body = respond(futures::stream::pending()).into_body();
        for count in 1..=3 {
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), ":\n\n");
            assert_eq!(began.elapsed().as_secs(), 15 * count);
        }
    }

    #[tokio::test]
    async fn an_error_ends_the_stream_as_a_failure() {
        let error = Error::new(Reason::Draining, "later").retry_after(Duration::from_millis(1_500));
        let first = SseEvent::new("synced", None, &json!({}));
        let events = futures::stream::iter([first, Err(error)]).chain(futures::stream::pending());
        let response = respond(events);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
        let text = response.into_body().collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&text).unwrap();
        let (_, failure) = text.split_once("\n\n").unwrap();
        assert!(failure.starts_with("event: failure\nretry: 1500\ndata: {\"error\":{\"code\":\"DRAINING\""), "{text}");
    }
}
