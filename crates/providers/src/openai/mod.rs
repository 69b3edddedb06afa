//! OpenAI's chat completions, at OpenAI or at a compatible server (vLLM, Ollama, a gateway).

mod answer;
mod chunk;
mod request;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::error::{Error, Reason, Violation};
use prompt_ledger_domain::execution::Params;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use url::Url;

use crate::http::{CallFault, Endpoint, Http, ReadAnswer, ToldSoFar, conclude, within};
use crate::{Answer, Call, CallError, Provider, TextSink};

const API_BASE: &str = "https://api.openai.com/v1";

/// A client of the chat completions of OpenAI or of a compatible server.
pub struct OpenAi {
    http: Http,
    /// Includes the query of the base URL, such as Azure's `api-version`.
    url: Url,
    authorization: Option<HeaderValue>,
    is_own_place: bool,
}

impl OpenAi {
    /// Opens no connection yet. INVALID_FIELD where the key is no valid header value; INTERNAL where this machine has
    /// no root certificates for an https server.
    pub fn new(endpoint: Endpoint) -> Result<Self> {
        let mut url = endpoint.base(API_BASE)?;
        let path = format!("{}/chat/completions", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let (authorization, is_own_place) = (endpoint.key_header("Bearer ")?, endpoint.is_own_place("api.openai.com"));
        Ok(Self { http: Http::new(&url, endpoint)?, url, authorization, is_own_place })
    }

    async fn ask(
        &self,
        call: &Call<'_>,
        sink: Option<&mut dyn TextSink>,
        told: &mut ToldSoFar,
    ) -> Result<ReadAnswer, CallFault> {
        self.check(call.params).map_err(|error| CallFault::unsent(error.to_string()))?;
        let body = request::body(call, self.is_own_place, sink.is_some());
        let mut request = self.http.client().post(self.url.clone());
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        self.http.ask(request, &body, sink, told, answer::read, chunk::read).await
    }
}

#[async_trait]
impl Provider for OpenAi {
    fn check(&self, params: &Params) -> Result<()> {
        if self.is_own_place {
            return Ok(());
        }
        let mut unknown = Vec::new();
        for (name, is_set) in
            [("top_k", params.top_k.is_some()), ("repetition_penalty", params.repetition_penalty.is_some())]
        {
            if is_set {
                let description = format!("OpenAI does not know {name}: leave it out");
                unknown.push(Violation { field: format!("params.{name}"), description });
            }
        }
        if unknown.is_empty() { Ok(()) } else { Err(Error::violations(Reason::InvalidField, unknown)) }
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
