//! Health, for probes: no key.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use prompt_ledger_health::Monitor;
use serde_json::json;

use super::error::respond;
use crate::front::errors::not_ready;

/// `GET /health`: 200 while the process lives.
pub(super) async fn health() -> Response {
    Json(json!({"status": "healthy"})).into_response()
}

/// `GET /ready`: 200 while calls are welcome; 503 while the server drains, or its database takes no writes.
pub(super) async fn ready(State(health): State<Monitor>) -> Response {
    match health.is_serving() {
        true => Json(json!({"status": "ready"})).into_response(),
        false => respond(not_ready()),
    }
}
