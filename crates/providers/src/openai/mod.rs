//! OpenAI's chat completions, at OpenAI or at a compatible server (vLLM, Ollama, a gateway).

mod read;
mod request;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::provider::{ProviderKind, ProviderTraits};
use reqwest::header::AUTHORIZATION;

use crate::http::{Endpoint, Http, PromptCount, Protocol, RequestForm};
use crate::{Answer, Call, CallError, Provider, TextSink};

const API_BASE: &str = "https://api.openai.com/v1";

/// A client of the chat completions of OpenAI or of a compatible server.
pub struct OpenAi {
    http: Http,
    traits: ProviderTraits,
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
        let traits = ProviderTraits { kind: Some(ProviderKind::OpenAi), is_own_place };
        Ok(Self { http: Http::new(url, endpoint, protocol)?, traits })
    }
}

#[async_trait]
impl Provider for OpenAi {
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
        let write = |form, streams| serde_json::to_vec(&request::body(&call, form, streams)?);
        self.http.call(call, sink, &write).await
    }
}
