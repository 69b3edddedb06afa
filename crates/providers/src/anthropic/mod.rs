//! Anthropic's Messages API, at Anthropic or at a compatible server.

mod check;
mod messages;
mod read;
mod request;

use async_trait::async_trait;
use prompt_ledger_domain::capabilities::{ModelCapabilities, ModelRequest};
use prompt_ledger_domain::error::Result;
use prompt_ledger_domain::execution::{ErrorType, Params};
use reqwest::header::{HeaderName, HeaderValue};

use crate::http::{Endpoint, Http, PromptCount, Protocol, RequestForm};
use crate::{Answer, Call, CallError, Provider, TextSink};

const API_BASE: &str = "https://api.anthropic.com";
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));

/// A client of the Messages API of Anthropic or of a compatible server.
pub struct Anthropic {
    http: Http,
    is_own_place: bool,
}

impl Anthropic {
    /// Opens no connection yet. INVALID_FIELD where the key or a header cannot be sent, or a certificate or proxy is
    /// none; INTERNAL where this machine has no root certificates for an https server.
    pub fn new(endpoint: Endpoint) -> Result<Self> {
        let mut url = endpoint.base(API_BASE)?;
        // Base URLs are written with `/v1` or without it.
        let base = url.path().trim_end_matches('/');
        let path = format!("{}/v1/messages", base.strip_suffix("/v1").unwrap_or(base));
        url.set_path(&path);
        let is_own_place = endpoint.is_own_place("api.anthropic.com");
        let protocol = Protocol {
            read: read::read,
            prompt_count: PromptCount::Excludes,
            form: RequestForm { is_completion_limit: false, asks_for_usage: false, streams: true },
            has_limit_names: false,
            key: (API_KEY, ""),
        };
        let http = Http::new(url, endpoint, protocol)?.with_header(VERSION.0, VERSION.1);
        Ok(Self { http, is_own_place })
    }
}

impl Anthropic {
    fn check_provider(&self, request: &ModelRequest<'_>, has_effort: bool) -> Result<()> {
        if self.is_own_place { check::form(request).finish() } else { check::vendor(request, has_effort) }
    }
}

#[async_trait]
impl Provider for Anthropic {
    fn check(&self, request: &ModelRequest<'_>, model: &ModelCapabilities) -> Result<()> {
        model.check(request)?;
        self.check_provider(request, model.reasoning == Some(true))
    }

    fn takes_any_model(&self) -> bool {
        self.is_own_place
    }

    fn completed(&self, params: Params, max_tokens: Option<i32>) -> Params {
        let limit = params.max_new_tokens.or(max_tokens).unwrap_or(request::MAX_TOKENS);
        Params { max_new_tokens: Some(limit), ..params }
    }

    async fn call(&self, call: Call<'_>, sink: Option<&mut dyn TextSink>) -> Result<Answer, CallError> {
        // Whether the model takes an effort was looked at before the call was recorded.
        self.check_provider(&call.request, true)
            .map_err(|error| CallError::unsent(ErrorType::InvalidRequest, error.to_string()))?;
        let write = |_, streams| serde_json::to_vec(&request::body(&call, streams)?);
        self.http.call(call, sink, &write).await
    }
}
