//! What every call passes, once: drain, key, deadline, and only then its bytes; and, on the way back, the form of errors.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use prompt_ledger_domain::{Error, Reason, Result};
use prompt_ledger_runtime::config::Reflection;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::answers::{Answers, room_of};
use super::budget::Sender;
use super::credentials::credentials;
use super::deadline::Deadline;
use super::receive::Intake;
use super::request_limits::{is_health, is_reflection};
use super::{revocation, status};
use crate::service::{Caller, Gatekeeper};

/// The layer.
#[derive(Clone)]
pub struct Gate(Arc<Rules>);

/// What is checked.
pub struct Rules {
    /// Knows the keys.
    pub gatekeeper: Arc<Gatekeeper>,
    /// Who may use reflection.
    pub reflection: Reflection,
    /// Bounds what waits for callers.
    pub answers: Answers,
    /// Fires when new work is refused.
    pub draining: CancellationToken,
    /// The calls that are under way.
    pub running: TaskTracker,
    /// Receives requests.
    pub intake: Intake,
}

impl Gate {
    /// A gate with these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self(Arc::new(rules))
    }
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { inner, rules: Arc::clone(&self.0) }
    }
}

/// A service behind the gate.
#[derive(Clone)]
pub struct Gated<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, std::result::Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<std::result::Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The clone takes the place of the one that was polled ready.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let rules = Arc::clone(&self.rules);
        Box::pin(async move {
            if is_health(request.uri().path()) {
                return match rules.intake.receive(request, Sender::Anonymous).await {
                    Ok(request) => inner.call(request).await,
                    Err(error) => Ok(status::status(error).into_http()),
                };
            }
            // Held before the drain is looked at: what passes is waited for.
            let _running = rules.running.token();
            let deadline = Deadline::of(request.headers(), Instant::now());
            let answered = async {
                let caller = match rules.admit(request.uri().path(), request.headers()).await {
                    Ok(caller) => caller,
                    Err(error) => return Ok(status::status(error).into_http()),
                };
                let sender = caller.as_ref().map_or(Sender::Anonymous, |caller| Sender::Key(caller.key));
                let mut request = match rules.intake.receive(request, sender).await {
                    Ok(request) => request,
                    Err(error) => return Ok(status::status(error).into_http()),
                };
                let Some(caller) = caller else { return inner.call(request).await };
                // After the request is here: one that is slow to come holds no room.
                let room = match room_of(request.uri().path()) {
                    Some(bytes) => match rules.answers.reserve(caller.key, bytes).await {
                        Ok(room) => Some(room),
                        Err(error) => return Ok(status::status(error).into_http()),
                    },
                    None => None,
                };
                let revoked = caller.revoked.clone();
                request.extensions_mut().insert(caller);
                if let Some(deadline) = deadline {
                    request.extensions_mut().insert(deadline);
                }
                let response = inner.call(request).await?;
                Ok(match room {
                    Some(room) => rules.answers.keep(room, response).await,
                    None => revocation::ends_when(revoked, response),
                })
            };
            let response = match deadline {
                None => answered.await?,
                Some(deadline) => match tokio::time::timeout_at(deadline.answer_by, answered).await {
                    Ok(response) => response?,
                    Err(_) => status::status(status::deadline_exceeded()).into_http(),
                },
            };
            Ok(in_form(response))
        })
    }
}

impl Rules {
    /// The caller; absent where none is needed.
    async fn admit(&self, path: &str, headers: &HeaderMap) -> Result<Option<Arc<Caller>>> {
        if self.draining.is_cancelled() {
            let message = "this server is shutting down; connect again, to another one";
            return Err(Error::new(Reason::Draining, message).retry_after(std::time::Duration::from_secs(1)));
        }
        if is_reflection(path) && self.reflection == Reflection::Open {
            return Ok(None);
        }
        self.gatekeeper.admit(credentials(headers)?).await.map(Some)
    }
}

/// A bare error of tonic's own, brought into the form of all others.
fn in_form(response: Response<Body>) -> Response<Body> {
    if !response.headers().contains_key("grpc-status") {
        return response;
    }
    let bare = Status::from_header_map(response.headers());
    match bare.as_ref().and_then(status::rewritten) {
        Some(status) => status.into_http(),
        None => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prompt_ledger_store_sqlite::Sqlite;
    use std::sync::Mutex;
    use std::time::Duration;

    const OPEN: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

    /// A service that never answers, behind a gate, and its drain.
    async fn gated(folder: &tempfile::TempDir) -> (impl Fn(&str) -> BoxFuture<'static, Status>, CancellationToken) {
        let store = Arc::new(Sqlite::open(&folder.path().join("ledger.db")).await.unwrap());
        let draining = CancellationToken::new();
        let rules = Rules {
            gatekeeper: Arc::new(Gatekeeper::new(store, &Arc::default(), None, false)),
            reflection: Reflection::Open,
            answers: Answers::default(),
            draining: draining.clone(),
            running: TaskTracker::new(),
            intake: Intake::new(1024 * 1024, Duration::from_secs(30)),
        };
        let never = tower::service_fn(|_: Request<Body>| {
            Box::pin(std::future::pending::<std::result::Result<Response<Body>, std::convert::Infallible>>())
                as BoxFuture<'static, _>
        });
        let service = Mutex::new(Gate::new(rules).layer(never));
        let call = move |timeout: &str| {
            let request = Request::builder().uri(OPEN).header("grpc-timeout", timeout).body(Body::empty()).unwrap();
            let answer = service.lock().unwrap().call(request);
            Box::pin(async move { Status::from_header_map(answer.await.unwrap().headers()).unwrap() })
                as BoxFuture<'static, _>
        };
        (call, draining)
    }

    #[tokio::test]
    async fn a_call_that_is_not_answered_ends_by_its_deadline_in_our_words() {
        let folder = tempfile::tempdir().unwrap();
        let (call, _) = gated(&folder).await;
        let began = Instant::now();
        let status = call("50m").await;
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
        assert!(!status.details().is_empty() && began.elapsed() >= Duration::from_millis(45));
    }

    #[tokio::test]
    async fn a_draining_server_refuses_and_says_when_to_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let (call, draining) = gated(&folder).await;
        draining.cancel();
        let status = call("50m").await;
        assert_eq!(status.code(), tonic::Code::Unavailable);
        let details = tonic_types::StatusExt::get_error_details(&status);
        assert_eq!(details.error_info().unwrap().reason, "DRAINING");
        assert!(details.retry_info().is_some());
    }
}
