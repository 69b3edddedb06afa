//! What every call passes: drain, key, deadline, and only then the reading of its body; on the way back, the form of
//! errors.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use prompt_ledger_domain::{Error, Result};
use prompt_ledger_runtime::config::Reflection;
use prompt_ledger_runtime::telemetry::within;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::call_note::CallNote;
use super::deadline::Deadline;
use super::receive::Intake;
use super::rpcs::{self, Rpc, is_health, is_health_watch, is_reflection};
use super::status;
use crate::front::answers::Answers;
use crate::front::budget::Sender;
use crate::front::credentials::credentials;
use crate::front::early_end;
use crate::front::errors::draining;
use crate::front::headers;
use crate::service::access::Unconfirmed;
use crate::service::{Authenticator, Caller};

/// The tower layer that checks every call.
#[derive(Clone)]
pub struct Gate(Arc<Rules>);

pub struct Rules {
    pub authenticator: Arc<Authenticator>,
    pub reflection: Reflection,
    /// Bounds the responses that wait for their callers.
    pub answers: Answers,
    /// Fires when new work is refused.
    pub draining: CancellationToken,
    /// The calls under way; a drain waits for them.
    pub running: TaskTracker,
    /// Receives requests within the budget of bytes.
    pub intake: Arc<Intake>,
}

impl Gate {
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

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The service that was polled ready is used; its clone takes its place.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let rules = Arc::clone(&self.rules);
        let arrived = Instant::now();
        Box::pin(async move {
            if is_health(request.uri().path()) {
                headers::keep_for_service(request.headers_mut());
                return rules.health(request, arrived, &mut inner).await;
            }
            // Taken before the drain is checked, so that a drain waits for every call that passes.
            let _running = rules.running.token();
            let rpc = rpcs::of(request.uri().path());
            let note = CallNote::begin(rpc, headers::traceparent(request.headers()));
            rules.serve(request, rpc, note, arrived, &mut inner).await
        })
    }
}

impl Rules {
    /// Serves a call, whoever makes it.
    async fn serve<S>(
        &self,
        mut request: Request<Body>,
        rpc: &'static Rpc,
        mut note: CallNote,
        arrived: Instant,
        inner: &mut S,
    ) -> std::result::Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        let deadline = Deadline::of(request.headers(), arrived);
        headers::keep_for_admission(request.headers_mut());
        let response = {
            // Pinned here: each place that a future is moved to would take its size in that of this one, which every call
            // allocates.
            let answered = pin!(async {
                let caller = match self.admit(rpc, request.uri().path(), request.headers()).await {
                    Ok(caller) => caller,
                    Err(error) => return Ok(status::status(error).into_http()),
                };
                if let Some(caller) = &caller {
                    note.by(caller);
                }
                headers::keep_for_service(request.headers_mut());
                match caller {
                    Some(caller) if !is_reflection(request.uri().path()) => {
                        within(note.trace(), self.answer(request, rpc, caller, &mut note, (arrived, deadline), inner))
                            .await
                    }
                    caller => self.reflect(request, caller, arrived, inner).await,
                }
            });
            match deadline {
                None => answered.await?,
                Some(deadline) => match tokio::time::timeout_at(deadline.answer_by, answered).await {
                    Ok(response) => response?,
                    Err(_) => status::status(status::deadline_exceeded()).into_http(),
                },
            }
        };
        let response = note.answered(in_form(response));
        Ok(match rpc.is_stream() && !rpc.records {
            // What only watches or reads on is ended by the drain.
            true => response,
            false => self.answers.answering.counted(response).map(Body::new),
        })
    }

    /// The caller; absent where none is needed. DRAINING, or an error of its credentials.
    async fn admit(&self, rpc: &Rpc, path: &str, headers: &HeaderMap) -> Result<Option<Arc<Caller>>> {
        if self.draining.is_cancelled() {
            return Err(draining());
        }
        if is_reflection(path) && self.reflection == Reflection::Open {
            return Ok(None);
        }
        let credentials = credentials(headers)?;
        match rpc.records {
            true => self.authenticator.admit_to_record(credentials).await.map(Some),
            false => self.authenticator.admit(credentials).await.map(Some),
        }
    }

    /// Serves a call to health, which needs no key.
    async fn health<S>(
        &self,
        request: Request<Body>,
        arrived: Instant,
        inner: &mut S,
    ) -> std::result::Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        let received = async {
            let place =
                is_health_watch(request.uri().path()).then(|| self.intake.health_watch(&request)).transpose()?;
            let rpc = rpcs::of(request.uri().path());
            let (request, _) = self.intake.receive(request, rpc, Sender::Anonymous, arrived).await?;
            Ok((request, place))
        };
        let (request, place) = match received.await {
            Ok(received) => received,
            Err(error) => return Ok(status::status(error).into_http()),
        };
        let response = inner.call(request).await?;
        Ok(match place {
            None => response,
            Some(place) => {
                let never = async move {
                    let _place = place;
                    std::future::pending().await
                };
                early_end::ends_with(never, &status::FORM, response)
            }
        })
    }

    /// Serves reflection, a stream of requests, until the key of its caller is revoked.
    async fn reflect<S>(
        &self,
        request: Request<Body>,
        caller: Option<Arc<Caller>>,
        arrived: Instant,
        inner: &mut S,
    ) -> std::result::Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        let sender = caller.as_ref().map_or(Sender::Anonymous, |caller| Sender::Key(caller.key));
        let revoked = caller.map(|caller| caller.revoked.clone()).unwrap_or_default();
        // The service is called at once: clients wait for its headers before they send requests.
        let (request, failed) = match self.intake.stream(request, sender, arrived) {
            Ok(stream) => stream,
            Err(error) => return Ok(status::status(error).into_http()),
        };
        let ends = async move {
            tokio::select! {
                error = failed => error,
                error = early_end::revoked(revoked) => error,
            }
        };
        Ok(early_end::ends_with(ends, &status::FORM, inner.call(request).await?))
    }

    /// What a refused caller is told: that its key is not good any more, where that is so.
    async fn refusal(&self, unconfirmed: Option<Unconfirmed>, error: Error) -> Error {
        match unconfirmed {
            Some(unconfirmed) => self.authenticator.confirm(&unconfirmed).await.err().unwrap_or(error),
            None => error,
        }
    }

    /// Serves a call with one request; every service of the contract has only such calls.
    async fn answer<S>(
        &self,
        request: Request<Body>,
        rpc: &'static Rpc,
        caller: Arc<Caller>,
        note: &mut CallNote,
        (arrived, deadline): (Instant, Option<Deadline>),
        inner: &mut S,
    ) -> std::result::Result<Response<Body>, S::Error>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        let (key, revoked, unconfirmed) = (caller.key, caller.revoked.clone(), caller.unconfirmed.clone());
        let exports = rpc.name == "ExportPrompts";
        // After the request has arrived: a slow one holds no turn.
        let begun = {
            let begun = pin!(async {
                let (request, lease) = self.intake.receive(request, rpc, Sender::Key(key), arrived).await?;
                let turn = self.answers.begin(key, rpc.is_large_read()).await?;
                Ok((request, lease, turn))
            });
            tokio::select! {
                // Polled first: nothing begins with a key that is known to be revoked.
                biased;
                error = early_end::revoked(revoked.clone()) => Err(error),
                begun = begun => begun,
            }
        };
        let (mut request, lease, turn) = match begun {
            Ok(begun) => begun,
            Err(error) => return Ok(status::status(self.refusal(unconfirmed, error).await).into_http()),
        };
        note.about(&request);
        request.extensions_mut().insert(caller);
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(deadline);
        }
        request.extensions_mut().insert(turn.clone());
        let response = inner.call(request).await?;
        // The decoded request is gone.
        drop(lease);
        if let Some(unconfirmed) = unconfirmed
            && is_refusal(&response)
            && let Err(error) = self.authenticator.confirm(&unconfirmed).await
        {
            return Ok(status::status(error).into_http());
        }
        Ok(match rpc.is_stream() {
            true => {
                let draining = self.draining.clone();
                let ends = async move {
                    tokio::select! {
                        error = early_end::revoked(revoked) => error,
                        error = cut(exports.then_some((draining, deadline))) => error,
                    }
                };
                self.answers.keep_stream(key, early_end::ends_with(ends, &status::FORM, response))
            }
            false => self.answers.keep(key, turn, response).await,
        })
    }
}

/// What ends a stream that does not look after its drain and its deadline itself; never where absent.
async fn cut(bounds: Option<(CancellationToken, Option<Deadline>)>) -> Error {
    let Some((stopping, deadline)) = bounds else { return std::future::pending().await };
    let late = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline.answer_by).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = stopping.cancelled() => draining(),
        () = late => status::deadline_exceeded(),
    }
}

/// Whether it is an error that may depend on what was cached; where the store did not answer, asking it again tells nothing.
fn is_refusal(response: &Response<Body>) -> bool {
    Status::from_header_map(response.headers()).is_some_and(|status| status.code() != Code::Unavailable)
}

/// Rewrites an error that tonic made by itself into the form of all others.
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
    use crate::front::budget::RequestBudget;
    use prompt_ledger_store_sqlite::Sqlite;
    use std::sync::Mutex;
    use std::time::Duration;

    const OPEN: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

    /// A service that never answers, behind a gate, and the token of its drain.
    async fn gated(folder: &tempfile::TempDir) -> (impl Fn(&str) -> BoxFuture<'static, Status>, CancellationToken) {
        let store = Arc::new(Sqlite::open(&folder.path().join("ledger.db")).await.unwrap());
        let draining = CancellationToken::new();
        let rules = Rules {
            authenticator: Arc::new(Authenticator::new(store, &Arc::default(), None, false)),
            reflection: Reflection::Open,
            answers: Answers::new(&status::FORM),
            draining: draining.clone(),
            running: TaskTracker::new(),
            intake: Arc::new(Intake::new(Arc::new(RequestBudget::new(1024 * 1024)), Duration::from_secs(30))),
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
