//! A call of `/v1` as operators see it: noted once its response has begun, or once its caller has hung up.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use http::Method;
use prompt_ledger_domain::text;
use prompt_ledger_domain::trace::TraceParent;
use prompt_ledger_observe::front;
use prompt_ledger_observe::trace::{self, TracedWork};
use prompt_ledger_runtime::telemetry::noting;

use crate::front::ACCESS;
use crate::front::headers::traceparent;
use crate::service::Caller;

/// The most bytes of a path in the log.
const OBJECT_BYTES: usize = 256;
/// What a call counts as that its caller has given up; no response says it.
const GIVEN_UP: u16 = 499;

/// A call under way; dropping it notes its end.
pub(super) struct HttpNote {
    method: &'static str,
    /// Absent where no route fits.
    route: Option<MatchedPath>,
    /// Its path, cut to what a line of a log takes.
    object: String,
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
    pub(super) fn begin(request: &Request) -> Self {
        Self {
            method: observed(request.method()),
            route: request.extensions().get().cloned(),
            object: text::cut(request.uri().path(), OBJECT_BYTES).to_owned(),
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
        self.span = trace::http(self.method, self.route().unwrap_or_default(), parent);
    }

    /// The span of the call; absent where there is no trace.
    pub(super) fn trace(&self) -> Option<TraceParent> {
        self.span.context()
    }

    /// Notes the end with a response of this status.
    pub(super) fn answered(mut self, status: u16) {
        self.status = status;
    }

    fn route(&self) -> Option<&str> {
        self.route.as_ref().map(MatchedPath::as_str)
    }
}

impl Drop for HttpNote {
    fn drop(&mut self) {
        let (method, status, took) = (self.method, self.status, self.began.elapsed());
        front::http(method, self.route(), status, took);
        trace::http_ended(&mut self.span, status);
        let (key, object) = (self.caller.as_ref().map(|caller| caller.key_name()), &self.object);
        // Without a key anyone could fill the log.
        noting(self.trace(), || match key {
            Some(key) if writes(method, self.route()) => {
                tracing::info!(target: ACCESS, method, key, object, status, ?took, "called");
            }
            key => tracing::debug!(target: ACCESS, method, key, object, status, ?took, "called"),
        });
    }
}

/// Whether a call of this route changes something.
fn writes(method: &str, route: Option<&str>) -> bool {
    let asks = ["/v1/prompts:batchGet", "/v1/prompts/{name}/render"];
    !matches!(method, "GET" | "HEAD") && route.is_some_and(|route| !asks.contains(&route))
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
