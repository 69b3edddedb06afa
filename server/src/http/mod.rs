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
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use http::{HeaderName, HeaderValue, Request, StatusCode, Uri};
use prompt_ledger_domain::{Error, Reason};
use prompt_ledger_health::Monitor;
use prompt_ledger_runtime::config::HttpConfig;
use tokio::sync::OnceCell;

use self::error::HttpError;
use self::gate::HttpGate;
use self::hosts::Hosts;
use crate::grpc::analytics::AnalyticsApi;
use crate::grpc::code_registration::CodeRegistrationApi;
use crate::grpc::execution::ExecutionApi;
use crate::grpc::registry::RegistryApi;
use crate::service::CpuPool;

/// What the handlers call: the same as the gRPC services.
#[derive(Clone)]
pub struct Api {
    pub registry: Arc<RegistryApi>,
    pub executions: Arc<ExecutionApi>,
    pub code: Arc<CodeRegistrationApi>,
    pub analytics: Arc<AnalyticsApi>,
    /// Where large bodies are decoded.
    pub cpu: CpuPool,
}

/// All routes: those of `/v1` behind the gate, health without a key. Every request passes the check of its host, and is noted.
pub(crate) fn router(config: &HttpConfig, api: Api, gate: HttpGate, health: Monitor) -> Router {
    let v1 = routes::router().with_state(api).layer(from_fn_with_state(Arc::new(gate), gate::pass));
    let open = Router::new()
        .route(
            "/openapi.json",
            get(async |State(described): State<Arc<Description>>| described.served().await.json.clone()),
        )
        .route("/docs", get(async |State(described): State<Arc<Description>>| described.served().await.page.clone()))
        .with_state(Arc::<Description>::default())
        .route("/health", get(health::health))
        .route("/ready", get(health::ready).with_state(health));
    let hosts = Hosts(config.hosts.clone().into());
    Router::new()
        .merge(v1)
        .merge(open)
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(map_response(with_caching))
        .layer(cors::layer(&config.cors_origins))
        .layer(from_fn_with_state(hosts, hosts::pass))
        .layer(from_fn(note::others))
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

/// Every answer depends on the key and its project, and changes with every write, unless it says otherwise itself.
async fn with_caching(mut response: Response) -> Response {
    let headers = response.headers_mut();
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.append(VARY, HeaderValue::from_static("X-API-Key, Authorization, X-Ledger-Project"));
    }
    response
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
