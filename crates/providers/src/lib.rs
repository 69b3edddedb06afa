//! Model providers behind one small trait. A new one takes a module here and its wiring in `crates/backends`.
#![warn(missing_docs)]
#![allow(clippy::disallowed_types, reason = "the providers are made here")]

pub mod anthropic;
pub mod echo;
pub mod openai;

mod http;
mod registry;

use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::capabilities::ModelRequest;
use prompt_ledger_domain::chat::ToolCall;
use prompt_ledger_domain::execution::{CallTimeout, ErrorType, FinishReason};
use prompt_ledger_domain::model::Usage;
use prompt_ledger_domain::provider::ProviderTraits;
use prompt_ledger_domain::trace::TraceParent;

pub use crate::http::{BodyBudget, Endpoint};
pub use crate::registry::Providers;

/// One call to a model.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The model's name at the provider.
    pub model: &'a str,
    /// What it is asked.
    pub request: ModelRequest<'a>,
    /// How long the call may take, connecting included. One that was asked for alone bounds a stream's first byte and its
    /// silence, and the instance's settings do not.
    pub timeout: CallTimeout,
    /// Whether the whole answer is asked for even where there is a sink, which then receives it at once.
    pub whole: bool,
    /// The span that the call is, which the provider is told; absent where there is no trace.
    pub trace: Option<TraceParent>,
}

impl Call<'_> {
    /// `invalid_request`, where the provider does not take the request.
    fn refused(&self, traits: ProviderTraits) -> Option<CallError> {
        let error = traits.check_call(&self.request).err()?;
        Some(CallError::unsent(ErrorType::InvalidRequest, error.to_string()))
    }
}

/// A model's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Without NUL; at most what is stored. Of a refusal its words.
    pub text: String,
    /// The model wrote more than `text` and `tool_calls`.
    pub truncated: bool,
    /// The calls that the model asked for, in its order; with the text at most what is stored: one that does not fit is
    /// left out whole.
    pub tool_calls: Vec<ToolCall>,
    /// Whether the model refused.
    pub refused: bool,
    /// Token counts, as far as the provider reported them.
    pub usage: Usage,
    /// Why the model stopped; absent where the provider gave no reason.
    pub finish_reason: Option<FinishReason>,
    /// The provider's own id for the call; empty when it gave none.
    pub request_id: String,
    /// As [`CallDetails::response_model`].
    pub response_model: String,
    /// As [`CallDetails::requests`].
    pub requests: i32,
    /// From the request to the last byte; connecting included where no idle connection was left.
    pub latency: Duration,
}

/// A failed call. Its type is decided here and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// Decides whether a retry can help.
    pub error_type: ErrorType,
    /// For a person: must not contain the key or the prompt; at most 2 KiB.
    pub message: String,
    /// The delay that the provider asked for, without a bound; absent where it asked for none.
    pub retry_after: Option<Duration>,
    /// The provider's own id for the call; empty when it gave none.
    pub request_id: String,
    /// As [`CallDetails::response_model`].
    pub response_model: String,
    /// As [`CallDetails::requests`].
    pub requests: i32,
    /// What was used before the failure, as far as reported.
    pub usage: Usage,
    /// What the model had written before the failure; without NUL, at most what is stored.
    pub text: String,
    /// The model wrote more than `text` and `tool_calls`.
    pub truncated: bool,
    /// The calls that the model had begun before the failure, as far as they came; with the text at most what is stored.
    pub tool_calls: Vec<ToolCall>,
    /// Whether the model had refused.
    pub refused: bool,
    /// From the request to the failure; absent when nothing was sent.
    pub latency: Option<Duration>,
}

/// What is known of a call besides its text and its tool calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallDetails {
    /// Token counts, as far as the provider reported them.
    pub usage: Usage,
    /// The provider's own id for the call; empty when it gave none.
    pub request_id: String,
    /// The model that answers, as the provider names it: at most 255 bytes without control characters; empty when it
    /// named none.
    pub response_model: String,
    /// Requests that were made: 0 before the first was sent, 2 where the provider refused the form of the first.
    pub requests: i32,
    /// Whether the model refused.
    pub refused: bool,
}

/// Receives the text while it is written, in order. When the call succeeds, the pieces together are the answer's text,
/// byte for byte; when it fails, they are what was written until then. Dropping the call's future ends both.
pub trait TextSink: Send {
    /// The next piece: never empty, without NUL, none beyond what is stored. The call waits for this method, so it must
    /// not block.
    fn push(&mut self, delta: &str);

    /// The next piece of a tool call; the first one when its id is known, or at the end where the provider gives none.
    /// Pieces of several calls may come in turns.
    fn push_call(&mut self, _piece: ToolCallPiece<'_>) {}

    /// What is known besides the answer; called whenever more is. It is all that is left of an aborted call.
    fn told(&mut self, _details: CallDetails) {}
}

/// A piece of a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolCallPiece<'a> {
    /// Which call of the answer, from 0.
    pub index: usize,
    /// Where `arguments` begins, in bytes of the call's arguments.
    pub offset: usize,
    /// The provider's id of the call; empty unless `offset` is 0.
    pub id: &'a str,
    /// The name of the tool; empty unless `offset` is 0.
    pub name: &'a str,
    /// Without NUL; it may be empty where `offset` is 0.
    pub arguments: &'a str,
}

/// A configured provider instance. Of each call it makes at most one request that is not refused: retries are the
/// caller's.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What a request may ask of it.
    fn traits(&self) -> ProviderTraits;

    /// Where it is: its host, with its port where that is not the scheme's; empty where it is no server.
    fn place(&self) -> &str {
        ""
    }

    /// Calls the model. With a sink the provider is asked to stream, and each piece of the text is pushed as it
    /// arrives; without one it is asked for the whole answer. Whatever was asked for, an answer is taken in the form in
    /// which it comes. One that ends without a finish reason and without the protocol's end mark fails as `connection`.
    /// A provider that refuses a field which we added is asked once more without it, within the same timeout. Dropping
    /// the future aborts the call.
    async fn call(&self, call: Call<'_>, sink: Option<&mut dyn TextSink>) -> Result<Answer, CallError>;
}

/// Stands in for an instance that only other processes have: what a request may ask of it is known, and a call fails as
/// `provider_error`.
#[derive(Clone, Copy, Debug)]
pub struct Elsewhere(pub ProviderTraits);

#[async_trait]
impl Provider for Elsewhere {
    fn traits(&self) -> ProviderTraits {
        self.0
    }

    async fn call(&self, _: Call<'_>, _: Option<&mut dyn TextSink>) -> Result<Answer, CallError> {
        Err(CallError::unsent(ErrorType::ProviderError, "this process has no settings of the provider".into()))
    }
}

impl CallError {
    /// The failure of a call that is not made.
    #[must_use]
    pub fn unsent(error_type: ErrorType, message: String) -> Self {
        Self {
            error_type,
            message,
            retry_after: None,
            request_id: String::new(),
            response_model: String::new(),
            requests: 0,
            usage: Usage::default(),
            text: String::new(),
            truncated: false,
            tool_calls: Vec::new(),
            refused: false,
            latency: None,
        }
    }
}
