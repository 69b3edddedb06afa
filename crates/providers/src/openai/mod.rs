//! OpenAI's chat completions, at OpenAI or at any server that speaks its protocol (vLLM, Ollama, a gateway).

mod answer;
mod chunk;
mod request;

use std::sync::{Arc, Mutex, PoisonError};

use async_openai::config::{OPENAI_API_BASE, OpenAIConfig};
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use async_openai::traits::RequestOptionsBuilder;
use async_trait::async_trait;
use bytes::Bytes;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::error::{Error, Reason, Violation};
use prompt_ledger_domain::execution::Params;
use reqwest::header::{AUTHORIZATION, HeaderValue};

use crate::http::{CallFault, Came, Endpoint, Http, ReadAnswer, ToldSoFar, at_once, conclude, within};
use crate::{Answer, Call, CallError, Provider, TextSink};

/// OpenAI, or a server that speaks its protocol.
pub struct OpenAi {
    http: Http,
    client: async_openai::Client<OpenAIConfig>,
    /// What the base URL says behind `?`, such as Azure's `api-version`.
    query: Vec<(String, String)>,
    authorization: Option<HeaderValue>,
    is_own_place: bool,
}

/// Where the transport leaves the answer, once. async-openai's own reading of a whole one takes many times its bytes, and
/// of a stream it knows no bound and takes a broken one for a whole one.
type BesideSlot = Arc<Mutex<Option<Came>>>;

impl OpenAi {
    /// Opens no connection yet. INVALID_FIELD when the key cannot be sent; INTERNAL when this machine has no
    /// certificates to check an https server by.
    pub fn new(endpoint: Endpoint) -> Result<Self> {
        let base = endpoint.base(OPENAI_API_BASE)?;
        let mut place = base.clone();
        place.set_query(None);
        // Its defaults come from the environment, which is ours to read; the key stays with us.
        let config = OpenAIConfig::new()
            .with_api_base(place.as_str().trim_end_matches('/'))
            .with_api_key("")
            .with_org_id("")
            .with_project_id("");
        let (authorization, is_own_place) = (endpoint.key_header("Bearer ")?, endpoint.is_own_place("api.openai.com"));
        let http = Http::new(&base, endpoint)?;
        Ok(Self {
            client: async_openai::Client::build(http.client().clone(), config),
            http,
            query: base.query_pairs().into_owned().collect(),
            authorization,
            is_own_place,
        })
    }

    async fn ask(
        &self,
        call: &Call<'_>,
        sink: Option<&mut dyn TextSink>,
        told: &mut ToldSoFar,
    ) -> Result<ReadAnswer, CallFault> {
        self.check(call.params).map_err(|error| CallFault::unsent(error.to_string()))?;
        let request = request::body(call, self.is_own_place, sink.is_some());
        let slot = BesideSlot::default();
        let client = self.client(&slot, sink.is_some());
        let chat = client.chat().query(&self.query).map_err(not_ours)?;
        let () = chat.create_byot(request).await.map_err(not_ours)?;
        let came = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (came, sink) {
            (Some(Came::EventReader(events)), Some(sink)) => events.read(sink, told, chunk::read).await,
            (Some(Came::Whole(received)), sink) => {
                let reading = received.read(told, answer::read).await?;
                Ok(match sink {
                    Some(sink) => at_once(reading, sink),
                    None => reading,
                })
            }
            (Some(Came::EventReader(_)) | None, _) => Err(CallFault::unsent("the transport was not used")),
        }
    }

    /// A client for one call. The transport is ours: async-openai's own would retry, drop the headers, and log a body that
    /// it cannot read. What is answered goes past it, into the slot.
    fn client(&self, slot: &BesideSlot, streams: bool) -> async_openai::Client<OpenAIConfig> {
        let (http, authorization, slot) = (self.http.clone(), self.authorization.clone(), Arc::clone(slot));
        self.client.clone().with_http_service(tower::service_fn(move |factory: HttpRequestFactory| {
            let (http, authorization, slot) = (http.clone(), authorization.clone(), Arc::clone(&slot));
            async move {
                let mut request = factory.build().await?;
                request.headers_mut().remove(AUTHORIZATION);
                if let Some(authorization) = authorization {
                    request.headers_mut().insert(AUTHORIZATION, authorization);
                }
                let came = if streams {
                    http.send_for_events(request).await
                } else {
                    http.send(request).await.map(Came::Whole)
                };
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(came.map_err(ours)?);
                Ok::<_, OpenAIError>(::http::Response::new(Bytes::from_static(b"null")).into())
            }
        }))
    }
}

fn ours(failed: CallFault) -> OpenAIError {
    OpenAIError::Boxed(Box::new(failed))
}

fn not_ours(error: OpenAIError) -> CallFault {
    match error {
        OpenAIError::Boxed(error) => match error.downcast::<CallFault>() {
            Ok(failed) => *failed,
            Err(error) => CallFault::unsent(error.to_string()),
        },
        // The transport is ours, and what it hands over is readable: what is left is a request that cannot be built.
        error => CallFault::unsent(error.to_string()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_librarys_own_is_a_request_that_cannot_be_built() {
        for error in [OpenAIError::InvalidArgument("no".into()), OpenAIError::Boxed("no".into())] {
            let failed = not_ours(error);
            assert!(!failed.sent && failed.message.ends_with("no"));
        }
    }
}
