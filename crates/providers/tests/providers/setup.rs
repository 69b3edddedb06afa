//! What the scenarios share.

use std::time::Duration;

use prompt_ledger_domain::execution::{ChatMessage, ErrorType, Input, Params};
use prompt_ledger_domain::secret::Secret;
use prompt_ledger_providers::anthropic::Anthropic;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_providers::{Answer, Call, CallError, Endpoint, Provider, TextSink};
use prompt_ledger_testkit::fake_model::FakeModel;

pub(crate) const KEY: &str = "sk-test-0123456789";
/// Longer than any test should take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Remembers every piece.
#[derive(Default)]
pub(crate) struct Pieces(pub(crate) Vec<String>);

impl TextSink for Pieces {
    fn push(&mut self, delta: &str) {
        self.0.push(delta.to_owned());
    }
}

pub(crate) fn endpoint(base_url: &str) -> Endpoint {
    Endpoint { api_key: Some(Secret::new(KEY)), base_url: Some(base_url.parse().unwrap()), ..Endpoint::default() }
}

pub(crate) fn openai(model: &FakeModel) -> OpenAi {
    OpenAi::new(endpoint(&model.base_url())).unwrap()
}

pub(crate) fn anthropic(model: &FakeModel) -> Anthropic {
    Anthropic::new(endpoint(&model.anthropic_url())).unwrap()
}

pub(crate) fn prompt(text: &str) -> Input {
    Input::Prompt(text.into())
}

pub(crate) fn messages(messages: &[(&str, &str)]) -> Input {
    let message = |(role, content): &(&str, &str)| ChatMessage { role: (*role).into(), content: (*content).into() };
    Input::Messages(messages.iter().map(message).collect())
}

/// Every parameter there is.
pub(crate) fn all_params() -> Params {
    Params {
        temperature: Some(0.7),
        top_k: Some(40),
        top_p: Some(0.9),
        repetition_penalty: Some(1.1),
        max_new_tokens: Some(64),
    }
}

/// One call with everything that a scenario may vary.
pub(crate) struct Ask<'a> {
    pub(crate) input: Input,
    pub(crate) params: Params,
    pub(crate) timeout: Duration,
    pub(crate) provider: &'a dyn Provider,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(provider: &'a dyn Provider, input: Input) -> Self {
        Self { input, params: Params::default(), timeout: PATIENCE, provider }
    }

    pub(crate) fn params(mut self, params: Params) -> Self {
        self.params = params;
        self
    }

    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The answer, and the pieces that it came in.
    pub(crate) async fn call(&self) -> (Result<Answer, CallError>, Vec<String>) {
        let mut pieces = Pieces::default();
        let call = Call { model: "small", input: &self.input, params: &self.params, timeout: self.timeout };
        let outcome = self.provider.call(call, &mut pieces).await;
        (outcome, pieces.0)
    }

    pub(crate) async fn answer(&self) -> Answer {
        self.call().await.0.unwrap()
    }

    /// How it failed; then nothing was written.
    pub(crate) async fn failure(&self) -> CallError {
        let (outcome, pieces) = self.call().await;
        assert_eq!(pieces, Vec::<String>::new());
        outcome.unwrap_err()
    }

    pub(crate) async fn error_type(&self) -> ErrorType {
        self.failure().await.error_type
    }
}
