//! Prompts.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use prompt_ledger_proto::v1;
use serde_json::json;

use super::Api;
use super::error::HttpError;
use crate::service::Caller;

/// `GET /v1/prompts/{name}`.
pub async fn get(
    State(api): State<Api>,
    Extension(caller): Extension<Arc<Caller>>,
    Path(name): Path<String>,
) -> Result<Response, HttpError> {
    let found = api.registry.get(&caller, v1::GetPromptRequest { name, min_revision: None }).await?;
    let prompt = found.prompt.unwrap_or_default();
    Ok(Json(json!({"prompt_id": prompt.prompt_id, "name": prompt.name})).into_response())
}
