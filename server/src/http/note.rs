//! A call over HTTP as operators see it: noted once its response has begun, a stream once it has ended, or once its caller has
//! hung up.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::Method;
use http_body::{Frame, SizeHint};
use prompt_ledger_domain::text;
use prompt_ledger_domain::trace::TraceParent;
use prompt_ledger_observe::front;
use prompt_ledger_observe::trace::{self, TracedWork};
use prompt_ledger_runtime::telemetry::noting;
use tokio::time::Instant;
use tracing::Level;

use crate::front::ACCESS;
use crate::front::headers::traceparent;
use crate::service::Caller;

/// The most bytes of a path, and of what a call is about, in the log.
const OBJECT_BYTES: usize = 256;
/// What a call counts as that its caller has given up; no response says it.
const GIVEN_UP: u16 = 499;

/// The name of what a call is about, as gRPC's lines have it. The gate makes it, and who reads the request tells it.
#[derive(Clone, Default)]
pub(super) struct HttpObject(
    /// Absent where no line will say it.
    Option<Arc<Mutex<String>>>,
);

impl HttpObject {
    /// Tells the name, cut to what a line of a log takes; it is made only where a line will say it. The first one that is told
    /// stays.
    pub(super) fn tell<N: AsRef<str>>(&self, name: impl FnOnce() -> N) {
        let Some(told) = &self.0 else { return };
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_empty() {
            text::cut(name().as_ref(), OBJECT_BYTES).clone_into(&mut told);
        }
    }

    fn told(&self) -> String {
        let told = self.0.as_ref().map(|told| told.lock().unwrap_or_else(PoisonError::into_inner).clone());
        told.unwrap_or_default()
    }
}

/// A call of `/v1` under way; dropping it notes its end.
pub(super) struct HttpNote {
    method: &'static str,
    /// The pattern of its path.
    route: &'static str,
    /// Cut to what a line of a log takes; empty where no line will say it.
    path: String,
    object: HttpObject,
    began: Instant,
    /// The span that the caller says its call is for; absent once the call has a span.
    parent: Option<TraceParent>,
    span: TracedWork,
    /// Absent until its key is known.
    caller: Option<Arc<Caller>>,
    /// As its caller is told it.
    status: u16,
}

impl HttpNote {
    pub(super) fn begin(route: &'static str, request: &Request) -> Self {
        let path = match tracing::enabled!(target: ACCESS, Level::DEBUG) {
            true => text::cut(request.uri().path(), OBJECT_BYTES).to_owned(),
            false => String::new(),
        };
        Self {
            method: observed(request.method()),
            route,
            path,
            object: HttpObject(tracing::enabled!(target: ACCESS, Level::INFO).then(Arc::default)),
            began: Instant::now(),
            parent: traceparent(request.headers()),
            span: TracedWork::default(),
            caller: None,
            status: GIVEN_UP,
        }
    }

    /// Who calls, once that is known. Its span begins: before, anyone could have spans recorded.
    pub(super) fn by(&mut self, caller: &Arc<Caller>) {
        self.caller = Some(Arc::clone(caller));
        let parent = self.parent.take();
        self.span = trace::http(self.method, self.route, parent);
    }

    /// Where what the call is about is told.
    pub(super) fn object(&self) -> HttpObject {
        self.object.clone()
    }

    /// The span of the call; absent where there is no trace.
    pub(super) fn trace(&self) -> Option<TraceParent> {
        self.span.context()
    }

    /// Notes the end with the response; that of a stream once the stream has ended.
    pub(super) fn answered(mut self, mut response: Response, is_stream: bool) -> Response {
        response.extensions_mut().insert(Noted);
        let status = response.status().as_u16();
        // The answer to a HEAD has no body.
        if is_stream && self.method != "HEAD" {
            return response.map(|stream| Body::new(NotedEvents { stream, status, note: self }));
        }
        self.status = status;
        response
    }
}

impl Drop for HttpNote {
    fn drop(&mut self) {
        let (method, route, status, took) = (self.method, self.route, self.status, self.began.elapsed());
        front::http(method, Some(route), status, took);
        let is_write = writes(method, route);
        let key = self.caller.as_ref().map(|caller| caller.key_name());
        // Without a key anyone could fill the log.
        noting(self.trace(), || match key {
            Some(key) if is_write => {
                tracing::info!(target: ACCESS, method, route, key, object = self.object.told(), status, ?took, "called");
            }
            key => tracing::debug!(target: ACCESS, method, path = self.path, key, status, ?took, "called"),
        });
        trace::http_ended(&mut self.span, status);
    }
}

/// In the extensions of a response whose call was noted by its [`HttpNote`].
#[derive(Clone, Copy)]
struct Noted;

/// Notes what no [`HttpNote`] has noted, such as a path, a method or a host that is not there. `route` is absent where no route
/// fits.
pub(super) fn unnoted(method: &Method, route: Option<&'static str>, began: Instant, response: &Response) {
    if response.extensions().get::<Noted>().is_none() {
        front::http(observed(method), route, response.status().as_u16(), began.elapsed());
    }
}

/// A stream of events: its call ends with it, or is given up with it.
struct NotedEvents {
    stream: Body,
    /// Of the response.
    status: u16,
    note: HttpNote,
}

impl http_body::Body for NotedEvents {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let polled = noting(this.note.trace(), || Pin::new(&mut this.stream).poll_frame(cx));
        let is_over = match &polled {
            Poll::Ready(None) => true,
            // Who reads it asks no further then.
            Poll::Ready(Some(Ok(_))) => this.stream.is_end_stream(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => false,
        };
        if is_over {
            this.note.status = this.status;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.stream.size_hint()
    }
}

/// Whether a call of this route changes something.
fn writes(method: &str, route: &str) -> bool {
    let asks = ["/v1/prompts:batchGet", "/v1/prompts/{name}/render"];
    !matches!(method, "GET" | "HEAD") && !asks.contains(&route)
}

/// The method, of those that routes have.
fn observed(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use http_body_util::BodyExt as _;

    fn streamed(frames: &'static [&'static str]) -> NotedEvents {
        let request = Request::builder().uri("/v1/executions/events").body(Body::empty()).unwrap();
        let frames = frames.iter().map(|frame| Ok::<_, axum::Error>(Bytes::from_static(frame.as_bytes())));
        let stream = Body::from_stream(stream::iter(frames));
        NotedEvents { stream, status: 200, note: HttpNote::begin("/v1/executions/events", &request) }
    }

    #[tokio::test]
    async fn a_stream_is_given_up_until_its_end_was_read() {
        let mut noted = streamed(&["one", "two"]);
        for frame in ["one", "two"] {
            assert_eq!(noted.frame().await.unwrap().unwrap().into_data().unwrap(), frame);
            assert_eq!(noted.note.status, GIVEN_UP);
        }
        assert!(noted.frame().await.is_none());
        assert_eq!(noted.note.status, 200);
    }

    #[test]
    fn the_first_name_that_is_told_stays_and_is_cut() {
        let object = HttpObject(Some(Arc::default()));
        object.tell(|| "");
        object.tell(|| "x".repeat(300));
        object.tell(|| "another");
        assert_eq!(object.told(), "x".repeat(OBJECT_BYTES));
        let untold = HttpObject::default();
        untold.tell(|| "greet");
        assert_eq!(untold.told(), "");
    }

    #[test]
    fn calls_that_change_something_are_told_from_those_that_ask() {
        for (method, route, is_write) in [
            ("POST", "/v1/executions:run", true),
            ("DELETE", "/v1/prompts/{name}/labels/{label}", true),
            ("POST", "/v1/prompts:batchGet", false),
            ("GET", "/v1/prompts/{name}", false),
        ] {
            assert_eq!(writes(method, route), is_write, "{method} {route}");
        }
    }
}
