//! Anthropic's Messages API, at Anthropic or at a compatible server.

mod answer;
mod event;
mod request;

use async_trait::async_trait;
use prompt_ledger_domain::error::{Error, Result};
use prompt_ledger_domain::execution::Params;
use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

use crate::http::{CallFault, Endpoint, Http, ReadAnswer, ToldSoFar, conclude, within};
use crate::{Answer, Call, CallError, Provider, TextSink};

const API_BASE: &str = "https://api.anthropic.com";
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));

/// A client of the Messages API of Anthropic or of a compatible server.
pub struct Anthropic {
    http: Http,
    url: Url,
    key_header: Option<HeaderValue>,
    is_own_place: bool,
}

impl Anthropic {
    /// Opens no connection yet. INVALID_FIELD where the key is no valid header value; INTERNAL where this machine has
    /// no root certificates for an https server.
    pub fn new(endpoint: Endpoint) -> Result<Self> {
        let mut url = endpoint.base(API_BASE)?;
        // Base URLs are written with `/v1` or without it.
        let base = url.path().trim_end_matches('/');
        let path = format!("{}/v1/messages", base.strip_suffix("/v1").unwrap_or(base));
        url.set_path(&path);
        let (key_header, is_own_place) = (endpoint.key_header("")?, endpoint.is_own_place("api.anthropic.com"));
        Ok(Self { http: Http::new(&url, endpoint)?, url, key_header, is_own_place })
    }

    async fn ask(
        &self,
        call: &Call<'_>,
        sink: Option<&mut dyn TextSink>,
        told: &mut ToldSoFar,
    ) -> Result<ReadAnswer, CallFault> {
        self.check(call.params).map_err(|error| CallFault::unsent(error.to_string()))?;
        let body = request::body(call, sink.is_some());
        let mut request = self.http.client().post(self.url.clone()).header(VERSION.0, VERSION.1);
        if let Some(key) = &self.key_header {
            request = request.header(API_KEY, key);
        }
        self.http.ask(request, &body, sink, told, answer::read, event::reader()).await
    }
}

#[async_trait]
impl Provider for Anthropic {
    fn check(&self, params: &Params) -> Result<()> {
        if params.repetition_penalty.is_some() && !self.is_own_place {
            let field = "params.repetition_penalty";
            return Err(Error::invalid(field, "Anthropic does not know repetition_penalty: leave it out"));
        }
        Ok(())
    }

    fn takes_any_model(&self) -> bool {
        self.is_own_place
    }

    async fn call(&self, call: Call<'_>, sink: Option<&mut dyn TextSink>) -> Result<Answer, CallError> {
        let mut told = ToldSoFar::default();
        let ended = within(call.timeout, self.ask(&call, sink, &mut told)).await;
        conclude(ended, told, &call, &self.http).await
    }
}
