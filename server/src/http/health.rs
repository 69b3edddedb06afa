//! Health, for probes: no key.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderName;
use http::header::CACHE_CONTROL;
use prompt_ledger_health::Monitor;
use serde_json::json;

use super::error::HttpError;
use crate::front::errors::not_ready;

/// No cache may keep what a probe is told.
const NOT_KEPT: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

/// `GET /health`: 200 while the process lives.
pub(super) async fn health() -> Response {
    (NOT_KEPT, Json(json!({"status": "healthy"}))).into_response()
}

/// `GET /ready`: 200 while calls are welcome; 503 while the server drains, or its database takes no writes.
pub(super) async fn ready(State(health): State<Monitor>) -> Response {
    match health.is_serving() {
        true => (NOT_KEPT, Json(json!({"status": "ready"}))).into_response(),
        false => (NOT_KEPT, HttpError::from(not_ready())).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_health::server::health_reporter;

    #[tokio::test]
    async fn a_server_is_ready_while_calls_are_welcome_and_healthy_while_it_lives() {
        let (reporter, _service) = health_reporter();
        let monitor = Monitor::new(reporter, &[""]).await;
        assert_eq!(ready(State(monitor.clone())).await.status(), 200);
        monitor.serving(false).await;
        let refused = ready(State(monitor.clone())).await;
        assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (503, true));
        assert_eq!(health().await.status(), 200);
        monitor.serving(true).await;
        assert_eq!(ready(State(monitor)).await.status(), 200);
    }
}
