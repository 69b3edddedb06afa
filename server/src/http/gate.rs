//! What every call of `/v1` passes: drain, key, and only then the reading of its body; on the way back, the room that its
//! response takes.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use http_body::Body as _;
use prompt_ledger_domain::{Error, Result};
use prompt_ledger_runtime::telemetry::within;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::body::{dropped_unread, receive};
use super::error::{HttpError, respond};
use super::note::{HttpNote, HttpObject};
use super::sse;
use crate::front::answers::{AnswerForm, Answers, Turn};
use crate::front::budget::{BytesLease, RequestBudget, Sender};
use crate::front::credentials::credentials;
use crate::front::early_end;
use crate::front::errors::draining;
use crate::front::headers::keep_only;
use crate::grpc::status::of_broken_body;
use crate::service::access::Unconfirmed;
use crate::service::{Authenticator, Caller};

/// Bytes of a response that are neither charged nor wait for room.
const SMALL_RESPONSE: u64 = 4 * 1024;

/// The headers that handlers read. Of many or long headers the others are dropped before the call waits for anything.
const READ: [HeaderName; 7] = [
    CONTENT_LENGTH,
    CONTENT_TYPE,
    EXPECT,
    IF_MATCH,
    IF_NONE_MATCH,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
];

pub struct HttpGate {
    pub authenticator: Arc<Authenticator>,
    /// Bounds the responses that wait for their callers.
    pub answers: Answers,
    /// Fires when new work is refused.
    pub draining: CancellationToken,
    /// The calls under way; a drain waits for them.
    pub running: TaskTracker,
    /// Bounds the bytes of requests.
    pub budget: Arc<RequestBudget>,
    /// Bounds the time from a request's headers to its last byte.
    pub read_timeout: Duration,
}

/// What the gate knows of a call by its route alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallKind {
    /// It records an execution.
    Recording,
    /// It answers with a page, or with an execution and its texts.
    LargeRead,
    Other,
}

/// The kind of a call by its method and the pattern of its route.
fn kind(method: &Method, route: &str) -> CallKind {
    match (method, route) {
        (
            &Method::POST,
            "/v1/executions:run"
            | "/v1/executions/run"
            | "/v1/executions:submit"
            | "/v1/executions/submit"
            | "/v1/executions:stream"
            | "/v1/executions/stream"
            | "/v1/prompts/{name}/execute",
        ) => CallKind::Recording,
        (&Method::POST, "/v1/prompts:batchGet") => CallKind::LargeRead,
        (
            &Method::GET | &Method::HEAD,
            "/v1/prompts"
            | "/v1/prompts/{name}/versions"
            | "/v1/prompts/{name}/history"
            | "/v1/prompts/{name}/changes"
            | "/v1/changes"
            | "/v1/executions"
            | "/v1/executions/{id}"
            | "/v1/analytics/prompts"
            | "/v1/analytics/usage"
            | "/v1/models",
        ) => CallKind::LargeRead,
        _ => CallKind::Other,
    }
}

/// What the gate knows of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct GateRow {
    /// The pattern of its path.
    route: &'static str,
    kind: CallKind,
}

impl GateRow {
    pub(super) fn new(method: &Method, route: &'static str) -> Self {
        Self { route, kind: kind(method, route) }
    }
}

/// A request that has passed: all of its body is in memory.
pub(super) struct PassedRequest {
    pub(super) request: Request,
    pub(super) caller: Arc<Caller>,
    pub(super) turn: Turn,
    /// Where what the call is about is told.
    pub(super) object: HttpObject,
}

impl HttpGate {
    /// Answers a request by `serve`, once it has passed.
    pub(super) async fn pass<F: Future<Output = Response>>(
        &self,
        row: GateRow,
        mut request: Request,
        serve: impl FnOnce(PassedRequest) -> F,
    ) -> Response {
        // Taken before the drain is checked, so that a drain waits for every call that passes.
        let _running = self.running.token();
        let arrived = Instant::now();
        let mut note = HttpNote::begin(row.route, &request);
        keep_only(request.headers_mut(), &READ);
        let response = match self.admit(row.kind, request.headers()).await {
            Ok(caller) => {
                note.by(&caller);
                let object = note.object();
                within(note.trace(), self.answer(request, serve, caller, object, row.kind, arrived)).await
            }
            Err(error) => {
                dropped_unread(request).await;
                respond(error)
            }
        };
        let is_stream = is_stream(&response);
        let response = note.answered(response, is_stream);
        match is_stream && row.kind != CallKind::Recording {
            // What only watches is ended by the drain.
            true => response,
            false => self.answers.answering.counted(response).map(Body::new),
        }
    }

    /// Answers a call of this caller.
    async fn answer<F: Future<Output = Response>>(
        &self,
        request: Request,
        serve: impl FnOnce(PassedRequest) -> F,
        caller: Arc<Caller>,
        object: HttpObject,
        kind: CallKind,
        arrived: Instant,
    ) -> Response {
        let (key, revoked, unconfirmed) = (caller.key, caller.revoked.clone(), caller.unconfirmed.clone());
        // After the request has arrived: a slow one holds no turn.
        let begun = {
            // Pinned here: each place that a future is moved to takes its size in that of this one, which every call allocates.
            let begun = pin!(async {
                let (request, lease) = self.arrived(request, key, arrived).await?;
                let turn = self.answers.begin(key, kind == CallKind::LargeRead).await?;
                Ok((request, lease, turn))
            });
            tokio::select! {
                // Polled first: nothing begins with a key that is known to be revoked.
                biased;
                error = early_end::revoked(revoked.clone()) => Err(error),
                begun = begun => begun,
            }
        };
        let (request, lease, turn) = match begun {
            Ok(begun) => begun,
            Err(error) => return respond(self.refusal(unconfirmed, error).await),
        };
        let response = {
            let served = pin!(serve(PassedRequest { request, caller, turn: turn.clone(), object }));
            served.await
        };
        // The decoded request is gone.
        drop(lease);
        if let Some(unconfirmed) = unconfirmed
            && is_refusal(response.status())
            && let Err(error) = self.authenticator.confirm(&unconfirmed).await
        {
            return respond(error);
        }
        if is_stream(&response) {
            let ends = early_end::revoked(revoked);
            let response = early_end::ends_with(ends, self.answers.form(), response.map(boxed));
            return self.answers.keep_stream(key, response).map(Body::new);
        }
        match response.body().size_hint().exact() {
            Some(..=SMALL_RESPONSE) => response,
            _ => self.answers.keep(key, turn, response.map(boxed)).await.map(Body::new),
        }
    }

    /// The caller; DRAINING, or an error of its credentials.
    async fn admit(&self, kind: CallKind, headers: &HeaderMap) -> Result<Arc<Caller>> {
        if self.draining.is_cancelled() {
            return Err(draining());
        }
        let credentials = credentials(headers)?;
        match kind {
            CallKind::Recording => self.authenticator.admit_to_record(credentials).await,
            CallKind::LargeRead | CallKind::Other => self.authenticator.admit(credentials).await,
        }
    }

    /// The request once all of its body is there, and the lease of the bytes that it takes.
    async fn arrived(&self, request: Request, key: u64, arrived: Instant) -> Result<(Request, BytesLease)> {
        let (parts, body) = request.into_parts();
        let lease = BytesLease::new(&self.budget, crate::front::arriving::peer(&parts.extensions), Sender::Key(key));
        let (bytes, lease) = receive(&parts.headers, body, lease, arrived, self.read_timeout).await?;
        Ok((Request::from_parts(parts, Body::from(bytes)), lease))
    }

    /// What a refused caller is told: that its key is not good any more, where that is so.
    async fn refusal(&self, unconfirmed: Option<Unconfirmed>, error: Error) -> Error {
        match unconfirmed {
            Some(unconfirmed) => self.authenticator.confirm(&unconfirmed).await.err().unwrap_or(error),
            None => error,
        }
    }
}

/// Whether it is an error that may depend on what was cached; where the store did not answer, asking it again tells nothing.
fn is_refusal(status: StatusCode) -> bool {
    (status.is_client_error() || status.is_server_error()) && status != StatusCode::SERVICE_UNAVAILABLE
}

fn is_stream(response: &Response) -> bool {
    response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == sse::CONTENT)
}

/// The form of bodies that [`Answers`] keeps.
fn boxed(body: Body) -> tonic::body::Body {
    tonic::body::Body::new(http_body_util::BodyExt::map_err(body, |error| of_broken_body(Error::internal(error))))
}

/// Errors as HTTP tells them. Of a unary response that is under way nothing can be taken back: its connection, or its
/// stream of HTTP/2, is ended.
pub static FORM: AnswerForm = AnswerForm {
    refused: |error| HttpError::of_dropped(error).into_response().map(boxed),
    cut: |error| Err(of_broken_body(error)),
    ended: sse::ended,
};
