//! A call as operators see it: noted once it has ended, whatever ended it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use prompt_ledger_domain::text;
use prompt_ledger_domain::trace::TraceParent;
use prompt_ledger_observe::front;
use prompt_ledger_observe::trace::{self, TracedWork};
use prompt_ledger_runtime::telemetry::noting;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::Level;

use super::counts;
use super::rpcs::Rpc;
use crate::front::ACCESS;
use crate::service::Caller;

/// The most bytes of a name of an object.
const OBJECT_BYTES: usize = 256;

/// A call under way; dropping it notes its end.
pub(super) struct CallNote {
    rpc: &'static Rpc,
    began: Instant,
    /// The span that the caller says its call is for; absent once the call has a span.
    parent: Option<TraceParent>,
    span: TracedWork,
    /// Absent until its key is known.
    caller: Option<Arc<Caller>>,
    /// Empty for what reads, and for what is about many.
    object: String,
    /// Whether it is a stream that has begun.
    is_open: bool,
    /// As its caller was told it; until then it counts as given up by the caller.
    code: Code,
}

/// The name of what a call writes or executes, as it was sent: cut to what a line of a log takes.
#[derive(Clone)]
pub(super) struct CallObject(String);

/// What a request is about, where that is logged.
pub(super) fn object(rpc: &Rpc, message: &[u8]) -> Option<CallObject> {
    if rpc.object.is_empty() || !tracing::enabled!(target: ACCESS, Level::INFO) {
        return None;
    }
    let names: Vec<_> = rpc.object.iter().map(|path| text::cut(counts::text_at(message, path), OBJECT_BYTES)).collect();
    Some(CallObject(names.join("/")))
}

impl CallNote {
    /// `parent` is the span that the caller says its call is for.
    pub(super) fn begin(rpc: &'static Rpc, parent: Option<TraceParent>) -> Self {
        let (began, code) = (Instant::now(), Code::Cancelled);
        let (span, object) = (TracedWork::default(), String::new());
        Self { rpc, began, parent, span, caller: None, object, is_open: false, code }
    }

    /// The span of the call; absent where there is no trace.
    pub(super) fn trace(&self) -> Option<TraceParent> {
        self.span.context()
    }

    /// Who calls, once that is known. Its span begins: before, anyone could have spans recorded.
    pub(super) fn by(&mut self, caller: &Arc<Caller>) {
        self.caller = Some(Arc::clone(caller));
        self.span = trace::rpc(self.rpc.name, self.parent.take());
    }

    /// What the call is about, where its request says so.
    pub(super) fn about(&mut self, request: &Request<Body>) {
        if let Some(CallObject(object)) = request.extensions().get() {
            self.object.clone_from(object);
        }
    }

    /// Notes the end with the response; that of a stream once the stream has ended.
    pub(super) fn answered(mut self, response: Response<Body>) -> Response<Body> {
        let told = told(response.headers());
        if told.is_none() && self.rpc.is_stream() {
            self.is_open = true;
            return response.map(|stream| Body::new(NotedStream { stream, note: self }));
        }
        self.code = told.unwrap_or(Code::Ok);
        response
    }

    /// Whether the server is the reason. A watching stream ends as UNAVAILABLE at its age and at a drain, and goes on
    /// elsewhere.
    fn is_fault(&self) -> bool {
        match self.code {
            Code::Unavailable => !(self.is_open && self.rpc.is_watch()),
            code => matches!(code, Code::Internal | Code::Unknown | Code::DataLoss),
        }
    }
}

impl Drop for CallNote {
    fn drop(&mut self) {
        let (rpc, code, took) = (self.rpc.name, word(self.code), self.began.elapsed());
        front::rpc(rpc, code, took);
        let is_fault = self.is_fault();
        trace::rpc_ended(&mut self.span, code, is_fault);
        let key = self.caller.as_ref().map(|caller| caller.key_name());
        // Without a key anyone could fill the log.
        noting(self.trace(), || match key {
            Some(key) if self.rpc.writes => {
                tracing::info!(target: ACCESS, rpc, key, object = self.object, code, ?took, "called");
            }
            key => tracing::debug!(target: ACCESS, rpc, key, code, ?took, "called"),
        });
    }
}

fn told(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()))
}

/// A stream of answers, whose trailers say how its call ended.
struct NotedStream {
    stream: Body,
    note: CallNote,
}

impl http_body::Body for NotedStream {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let polled = noting(this.note.trace(), || Pin::new(&mut this.stream).poll_frame(cx));
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(code) = frame.trailers_ref().and_then(told) {
                    this.note.code = code;
                }
            }
            Poll::Ready(Some(Err(status))) => this.note.code = status.code(),
            Poll::Ready(None) | Poll::Pending => {}
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

/// The name of a code, as the documents of gRPC write it.
fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::super::rpcs;
    use super::*;
    use http_body_util::{BodyExt as _, StreamBody};

    const WATCH: &str = "/promptledger.v1.ExecutionService/WatchExecution";

    #[tokio::test]
    async fn a_stream_ends_as_its_trailers_say() {
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "14".parse().unwrap())]);
        let frames = [Ok::<_, Status>(Frame::data(Bytes::from_static(b"one"))), Ok(Frame::trailers(trailers))];
        let stream = Body::new(StreamBody::new(futures::stream::iter(frames)));
        let mut noted = NotedStream { stream, note: CallNote::begin(rpcs::of(WATCH), None) };
        assert_eq!((noted.note.rpc.name, noted.note.code), ("WatchExecution", Code::Cancelled));
        noted.frame().await.unwrap().unwrap();
        assert_eq!(noted.note.code, Code::Cancelled);
        noted.frame().await.unwrap().unwrap();
        assert_eq!(noted.note.code, Code::Unavailable);
        assert_eq!(word(noted.note.code), "UNAVAILABLE");
    }

    #[test]
    fn a_watch_that_had_begun_and_ends_as_unavailable_is_no_fault() {
        const STREAM: &str = "/promptledger.v1.ExecutionService/StreamExecution";
        for (path, is_open, code, is_fault) in [
            (WATCH, true, Code::Unavailable, false),
            (WATCH, true, Code::Internal, true),
            (WATCH, true, Code::Cancelled, false),
            (WATCH, false, Code::Unavailable, true),
            (STREAM, true, Code::Unavailable, true),
        ] {
            let mut note = CallNote::begin(rpcs::of(path), None);
            (note.is_open, note.code) = (is_open, code);
            assert_eq!(note.is_fault(), is_fault, "{path} {is_open} {code:?}");
        }
    }
}
