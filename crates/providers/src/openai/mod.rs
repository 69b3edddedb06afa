//! OpenAI's chat completions, at OpenAI or at a compatible server (vLLM, Ollama, a gateway).

mod read;
mod request;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::capabilities::{ModelCapabilities, ModelRequest};
use prompt_ledger_domain::execution::ErrorType;
use reqwest::header::AUTHORIZATION;

use crate::http::{Endpoint, Http, PromptCount, Protocol, RequestForm, Unsupported};
use crate::{Answer, Call, CallError, Provider, TextSink};

const API_BASE: &str = "https://api.openai.com/v1";

/// A client of the chat completions of OpenAI or of a compatible server.
pub struct OpenAi {
    http: Http,
    is_own_place: bool,
}

impl OpenAi {
    /// Opens no connection yet. INVALID_FIELD where the key or a header cannot be sent, or a certificate or proxy is
    /// none; INTERNAL where this machine has no root certificates for an https server.
    pub fn new(endpoint: Endpoint) -> Result<Self> {
        // The query of the base URL stays, such as Azure's `api-version`.
        let mut url = endpoint.base(API_BASE)?;
        let path = format!("{}/chat/completions", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let is_own_place = endpoint.is_own_place("api.openai.com");
        let protocol = Protocol {
            read: read::read,
            prompt_count: PromptCount::Includes,
            form: RequestForm { is_completion_limit: !is_own_place, asks_for_usage: true, streams: true },
            has_limit_names: true,
            key: (AUTHORIZATION, "Bearer "),
        };
        Ok(Self { http: Http::new(url, endpoint, protocol)?, is_own_place })
    }
}

impl OpenAi {
    fn check_provider(&self, request: &ModelRequest<'_>) -> Result<()> {
        if self.is_own_place {
            return Ok(());
        }
        let mut wrong = Unsupported::new("OpenAI", request);
        wrong.parameters(&["top_k", "repetition_penalty"]);
        wrong.vendors_images();
        wrong.finish()
    }
}

#[async_trait]
impl Provider for OpenAi {
    fn check(&self, request: &ModelRequest<'_>, model: &ModelCapabilities) -> Result<()> {
        model.check(request)?;
        self.check_provider(request)
    }

    fn takes_any_model(&self) -> bool {
        self.is_own_place
    }

    async fn call(&self, call: Call<'_>, sink: Option<&mut dyn TextSink>) -> Result<Answer, CallError> {
        self.check_provider(&call.request)
            .map_err(|error| CallError::unsent(ErrorType::InvalidRequest, error.to_string()))?;
        let write = |form, streams| serde_json::to_vec(&request::body(&call, form, streams)?);
        self.http.call(call, sink, &write).await
    }
}
