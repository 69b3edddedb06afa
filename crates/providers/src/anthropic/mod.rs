//! Anthropic's Messages API, at Anthropic or at a compatible server.

mod messages;
mod read;
mod request;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::provider::{ProviderKind, ProviderTraits};
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
    traits: ProviderTraits,
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
        let traits = ProviderTraits { kind: Some(ProviderKind::Anthropic), is_own_place };
        let protocol = Protocol {
            read: read::read,
            prompt_count: PromptCount::Excludes,
            form: RequestForm { is_completion_limit: false, asks_for_usage: false, streams: true },
            has_limit_names: false,
            key: (API_KEY, ""),
        };
        let http = Http::new(url, endpoint, protocol)?.with_header(VERSION.0, VERSION.1);
        Ok(Self { http, traits })
    }
}

#[async_trait]
impl Provider for Anthropic {
    fn traits(&self) -> ProviderTraits {
        self.traits
    }

    fn place(&self) -> &str {
        self.http.place()
    }

    async fn call(&self, call: Call<'_>, sink: Option<&mut dyn TextSink>) -> Result<Answer, CallError> {
        if let Some(refused) = call.refused(self.traits) {
            return Err(refused);
        }
        let write = |_, streams| serde_json::to_vec(&request::body(&call, streams)?);
        self.http.call(call, sink, &write).await
    }
}
