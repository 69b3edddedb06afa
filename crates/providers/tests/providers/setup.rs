//! Fixtures.

use std::time::Duration;

use prompt_ledger_domain::Result as DomainResult;
use prompt_ledger_domain::capabilities::{ModelCapabilities, ModelRequest};
use prompt_ledger_domain::execution::{CallTimeout, ChatMessage, Input, Params};
use prompt_ledger_domain::secret::Secret;
use prompt_ledger_domain::tool::{ResponseFormat, Tool, ToolChoice};
use prompt_ledger_domain::trace::TraceParent;
use prompt_ledger_providers::anthropic::Anthropic;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_providers::{Answer, Call, CallError, Endpoint, Provider, TextSink, ToolCallPiece};
use prompt_ledger_testkit::fake_model::FakeModel;
use tokio::sync::mpsc;

pub(crate) const KEY: &str = "sk-test-0123456789";
/// The timeout of calls in tests that are not about timeouts.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(300);

/// Records every piece.
#[derive(Default)]
pub(crate) struct Pieces(pub(crate) Vec<String>, pub(crate) Vec<Said>);

/// A piece of a tool call: which one, from which byte on, id, name and arguments.
pub(crate) type Said = (usize, usize, String, String, String);

impl TextSink for Pieces {
    fn push(&mut self, delta: &str) {
        self.0.push(delta.to_owned());
    }

    fn push_call(&mut self, piece: ToolCallPiece<'_>) {
        let ToolCallPiece { index, offset, id, name, arguments } = piece;
        self.1.push((index, offset, id.to_owned(), name.to_owned(), arguments.to_owned()));
    }
}

/// Sends each piece through a channel.
pub(crate) struct Sender(mpsc::UnboundedSender<String>);

impl TextSink for Sender {
    fn push(&mut self, delta: &str) {
        self.0.send(delta.to_owned()).unwrap();
    }
}

/// A sink whose pieces can be awaited.
pub(crate) fn channel() -> (Sender, mpsc::UnboundedReceiver<String>) {
    let (sender, pieces) = mpsc::unbounded_channel();
    (Sender(sender), pieces)
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

/// The same scenario in both protocols.
pub(crate) fn both(model: &FakeModel) -> [Box<dyn Provider>; 2] {
    [Box::new(openai(model)), Box::new(anthropic(model))]
}

pub(crate) fn prompt(text: &str) -> Input {
    Input::Prompt(text.into())
}

pub(crate) fn messages(messages: &[(&str, &str)]) -> Input {
    let message = |(role, content): &(&str, &str)| ChatMessage::text(*role, *content);
    Input::Messages(messages.iter().map(message).collect())
}

pub(crate) fn all_params() -> Params {
    Params {
        temperature: Some(0.7),
        top_k: Some(40),
        top_p: Some(0.9),
        repetition_penalty: Some(1.1),
        max_new_tokens: Some(64),
        ..Params::default()
    }
}

/// What a provider says to these parameters, with a prompt and a model of which nothing is known.
pub(crate) fn check(provider: &dyn Provider, params: &Params) -> DomainResult<()> {
    provider.traits().check(&ModelRequest::plain(&prompt("hi"), params), &ModelCapabilities::default())
}

/// A call; each field is what a scenario may vary.
pub(crate) struct Ask<'a> {
    model: &'a str,
    pub(crate) input: Input,
    pub(crate) params: Params,
    pub(crate) tools: Vec<Tool>,
    pub(crate) tool_choice: Option<ToolChoice>,
    pub(crate) response_format: Option<ResponseFormat>,
    pub(crate) timeout: CallTimeout,
    pub(crate) provider: &'a dyn Provider,
    /// Asks for the whole answer even with a sink.
    is_whole: bool,
    trace: Option<TraceParent>,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(provider: &'a dyn Provider, input: Input) -> Self {
        Self {
            model: "small",
            input,
            params: Params::default(),
            tools: vec![],
            tool_choice: None,
            response_format: None,
            timeout: CallTimeout::asked(CALL_TIMEOUT),
            provider,
            is_whole: false,
            trace: None,
        }
    }

    /// Instead of `small`.
    pub(crate) fn model(mut self, model: &'a str) -> Self {
        self.model = model;
        self
    }

    pub(crate) fn params(mut self, params: Params) -> Self {
        self.params = params;
        self
    }

    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = CallTimeout::asked(timeout);
        self
    }

    pub(crate) fn traced(mut self, trace: TraceParent) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Without a timeout that was asked for.
    pub(crate) fn without_timeout(mut self) -> Self {
        self.timeout = CallTimeout::default();
        self
    }

    pub(crate) fn at_once(mut self) -> Self {
        self.is_whole = true;
        self
    }

    fn as_call(&self) -> Call<'_> {
        let request = self.as_request();
        Call { model: self.model, request, timeout: self.timeout, whole: self.is_whole, trace: self.trace }
    }

    pub(crate) fn as_request(&self) -> ModelRequest<'_> {
        let Self { input, params, tools, tool_choice, response_format, .. } = self;
        let (tool_choice, response_format) = (tool_choice.as_ref(), response_format.as_ref());
        ModelRequest { input, params, tools, tool_choice, response_format }
    }

    /// Asks for the whole answer.
    pub(crate) async fn whole(&self) -> Result<Answer, CallError> {
        self.provider.call(self.as_call(), None).await
    }

    /// Asks for a stream; returns the result and the pieces that were pushed.
    pub(crate) async fn stream(&self) -> (Result<Answer, CallError>, Vec<String>) {
        let mut pieces = Pieces::default();
        let outcome = self.stream_into(&mut pieces).await;
        let text = outcome.as_ref().map_or_else(|failure| &failure.text, |answer| &answer.text);
        assert_eq!(&pieces.0.concat(), text);
        assert!(pieces.0.iter().all(|piece| !piece.is_empty()), "{:?}", pieces.0);
        (outcome, pieces.0)
    }

    pub(crate) async fn stream_into(&self, sink: &mut dyn TextSink) -> Result<Answer, CallError> {
        self.provider.call(self.as_call(), Some(sink)).await
    }

    pub(crate) async fn answer(&self) -> Answer {
        self.whole().await.unwrap()
    }

    pub(crate) async fn failure(&self) -> CallError {
        self.whole().await.unwrap_err()
    }

    /// The answer of a successful stream, and its pieces.
    pub(crate) async fn streamed(&self) -> (Answer, Vec<String>) {
        let (outcome, pieces) = self.stream().await;
        (outcome.unwrap(), pieces)
    }

    /// The failure of a stream, and the pieces before it.
    pub(crate) async fn broken(&self) -> (CallError, Vec<String>) {
        let (outcome, pieces) = self.stream().await;
        (outcome.unwrap_err(), pieces)
    }
}
