//! The HTTP front: the REST API, streams for browsers and health, over the services that gRPC has. Converts a request,
//! calls, converts the answer; nothing is decided here.

mod analytics;
mod body;
mod call;
mod code;
mod cors;
pub mod error;
mod events;
mod executions;
pub mod gate;
mod health;
pub mod hosts;
mod labels;
mod models;
mod note;
mod openapi;
mod prompt_events;
mod prompts;
mod query;
mod routes;
mod row;
mod row_headers;
mod scan;
mod sse;
mod streams;
mod types;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use prompt_ledger_domain::{Error, Reason};
use prompt_ledger_health::Monitor;
use prompt_ledger_runtime::config::HttpConfig;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tonic::transport::server::TcpConnectInfo;
use tower::Service as _;

use self::error::HttpError;
use self::gate::HttpGate;
use self::hosts::Hosts;
use crate::grpc::analytics::AnalyticsApi;
use crate::grpc::code_registration::CodeRegistrationApi;
use crate::grpc::execution::ExecutionApi;
use crate::grpc::registry::RegistryApi;
use crate::service::CpuPool;

/// What the handlers call: the same as the gRPC services.
pub struct Api {
    pub registry: Arc<RegistryApi>,
    pub executions: Arc<ExecutionApi>,
    pub code: Arc<CodeRegistrationApi>,
    pub analytics: Arc<AnalyticsApi>,
    /// Where large bodies are decoded.
    pub cpu: CpuPool,
}

/// What every route of `/v1` has: the gate that its calls pass, and what they call.
pub(crate) struct V1State {
    pub(crate) gate: HttpGate,
    pub(crate) api: Arc<Api>,
}

/// The HTTP front of a server: every request passes the check of its host, and is noted.
#[derive(Clone)]
pub struct HttpFront {
    router: Router,
    hosts: Hosts,
}

/// Paths that need no key and are noted. Probes are not, as over gRPC.
const OPEN: [&str; 2] = ["/openapi.json", "/docs"];
const PROBES: [&str; 2] = ["/health", "/ready"];

impl HttpFront {
    pub(crate) fn new(config: &HttpConfig, api: Arc<Api>, gate: HttpGate, health: Monitor) -> Self {
        Self { router: router(config, V1State { gate, api }, health), hosts: Hosts(config.hosts.clone().into()) }
    }

    /// The answer to a request.
    pub(crate) fn answer(&self, request: Request<Body>) -> impl Future<Output = Response> + Send + use<> {
        let request = with_colons(request);
        let (method, began) = (request.method().clone(), Instant::now());
        let path = |known: &&&str| request.uri().path() == **known;
        let (open, is_probe) = (OPEN.iter().find(path).copied(), PROBES.iter().any(|probe| path(&probe)));
        let local = request.extensions().get::<TcpConnectInfo>().and_then(TcpConnectInfo::local_addr);
        let answered = match self.hosts.refusal(&request, local) {
            Some(refusal) => Err(refusal.into_response()),
            // A router is always ready.
            None => Ok(self.router.clone().call(request)),
        };
        async move {
            let mut response = match answered {
                Ok(answered) => answered.await.unwrap_or_else(|never| match never {}),
                Err(refusal) => refusal,
            };
            if !is_probe {
                note::unnoted(&method, open, began, &response);
            }
            cached(&method, &mut response);
            response
        }
    }
}

/// All routes: those of `/v1` behind the gate, health without a key. A layer would be another allocation for each request: what
/// holds for all paths is done by [`HttpFront`], what holds for those of `/v1` by their handlers.
fn router(config: &HttpConfig, v1: V1State, health: Monitor) -> Router {
    let open = Router::new()
        .route(
            "/openapi.json",
            get(async |State(described): State<Arc<Description>>| described.served().await.json.clone()),
        )
        .route("/docs", get(async |State(described): State<Arc<Description>>| described.served().await.page.clone()))
        .with_state(Arc::<Description>::default())
        .route("/health", get(health::health))
        .route("/ready", get(health::ready).with_state(health));
    Router::new()
        .merge(routes::router().with_state(Arc::new(v1)))
        .merge(open)
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(cors::layer(&config.cors_origins))
}

/// With the path's `%3A` as the `:` that it stands for: clients may write either, routes have the latter.
pub(crate) fn with_colons(mut request: Request<Body>) -> Request<Body> {
    let uri = request.uri();
    if !uri.path().contains("%3") {
        return request;
    }
    let path = uri.path().replace("%3A", ":").replace("%3a", ":");
    let path = uri.query().map(|query| format!("{path}?{query}")).unwrap_or(path);
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = path.parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

/// The description, and the page made from it. An answer that nobody reads holds a reference to it, and no copy.
struct ServedDescription {
    json: SharedAnswer,
    page: SharedAnswer,
}

/// An answer without a key that is the same for everyone.
type SharedAnswer = ([(HeaderName, &'static str); 2], Bytes);

fn shared(kind: &'static str, text: String) -> SharedAnswer {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], Bytes::from(text))
}

impl ServedDescription {
    fn new() -> Self {
        let described = openapi::json(&routes::described());
        Self {
            page: shared("text/html; charset=utf-8", openapi::page(&described)),
            json: shared("application/json", described.to_string()),
        }
    }
}

/// Made at the first request, once, off the runtime: it takes a twentieth of a second, and some MiB.
#[derive(Default)]
struct Description(OnceCell<ServedDescription>);

impl Description {
    async fn served(&self) -> &ServedDescription {
        let make = async || match tokio::task::spawn_blocking(ServedDescription::new).await {
            Ok(made) => made,
            Err(_) => ServedDescription::new(),
        };
        self.0.get_or_init(make).await
    }
}

/// Every answer depends on the key and its project, and changes with every write, unless it says otherwise itself. Browsers keep
/// the answer to a preflight as long as it says.
fn cached(method: &Method, response: &mut Response) {
    let headers = response.headers_mut();
    if !headers.contains_key(CACHE_CONTROL) && *method != Method::OPTIONS {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.append(VARY, HeaderValue::from_static("X-API-Key, Authorization, X-Ledger-Project"));
    }
}

async fn no_such_path() -> HttpError {
    let message = "this server has no such path; /openapi.json lists those that it has";
    HttpError::from(Error::new(Reason::Unimplemented, message)).with_status(StatusCode::NOT_FOUND)
}

async fn no_such_method() -> HttpError {
    let message = "this path has no such method; the header `Allow` names those that it has";
    HttpError::from(Error::new(Reason::Unimplemented, message)).with_status(StatusCode::METHOD_NOT_ALLOWED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_colon_of_the_path_is_a_colon_and_the_query_stays() {
        for (sent, read) in [
            ("/v1/executions%3Arun", "/v1/executions:run"),
            ("/v1/executions%3arun?q=a%3Ab", "/v1/executions:run?q=a%3Ab"),
            ("http://a/v1/prompts/a%3Ab", "http://a/v1/prompts/a:b"),
            ("/v1/prompts/a%30b", "/v1/prompts/a%30b"),
            ("/v1/prompts/%253A", "/v1/prompts/%253A"),
        ] {
            let request = Request::builder().uri(sent).body(Body::empty()).unwrap();
            assert_eq!(with_colons(request).uri(), read);
        }
    }
}
