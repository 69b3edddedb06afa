//! What every call passes, once: drain, key, deadline; and, on the way back, the form of errors.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use prompt_ledger_domain::{Error, Reason, Result};
use prompt_ledger_runtime::config::Reflection;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::deadline::Deadline;
use super::status;
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
    /// Fires when new work is refused.
    pub draining: CancellationToken,
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

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The clone takes the place of the one that was polled ready.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let rules = Arc::clone(&self.rules);
        Box::pin(async move {
            if is_health(request.uri().path()) {
                return inner.call(request).await;
            }
            let caller = match rules.admit(request.uri().path(), request.headers()).await {
                Ok(caller) => caller,
                Err(error) => return Ok(status::status(error).into_http()),
            };
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            let deadline = Deadline::of(request.headers(), Instant::now());
            let response = match deadline {
                None => inner.call(request).await?,
                Some(deadline) => {
                    request.extensions_mut().insert(deadline);
                    match tokio::time::timeout_at(deadline.answer_by, inner.call(request)).await {
                        Ok(response) => response?,
                        Err(_) => status::status(status::deadline_exceeded()).into_http(),
                    }
                }
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
        self.gatekeeper.admit(key(headers), text(headers, "x-ledger-project")).await.map(Some)
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

fn key(headers: &HeaderMap) -> Option<&str> {
    text(headers, "x-api-key").or_else(|| {
        let (scheme, key) = text(headers, "authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().filter(|value| !value.is_empty())
}

fn is_health(path: &str) -> bool {
    path.starts_with("/grpc.health.v1.Health/")
}

fn is_reflection(path: &str) -> bool {
    path.starts_with("/grpc.reflection.")
}
