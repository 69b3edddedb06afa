//! Model providers behind one small trait. Adding one touches one folder here and one line of wiring, in
//! `crates/backends`.
#![warn(missing_docs)]
#![allow(clippy::disallowed_types, reason = "the providers are made here")]

pub mod anthropic;
pub mod echo;
pub mod openai;

mod http;
mod registry;

use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::execution::{ErrorType, FinishReason, Input, Params};
use prompt_ledger_domain::model::Usage;

pub use crate::http::{BodyBudget, Endpoint};
pub use crate::registry::Providers;

/// One call to a model.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The model as the provider names it.
    pub model: &'a str,
    /// What goes to it, exactly.
    pub input: &'a Input,
    /// How it is asked to write.
    pub params: &'a Params,
    /// How long the call may take, connecting included.
    pub timeout: Duration,
}

/// What a model answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The text; without NUL.
    pub text: String,
    /// The model wrote more than that: of a stream no more than is stored is kept.
    pub truncated: bool,
    /// What it used.
    pub usage: Usage,
    /// Why it stopped.
    pub finish_reason: Option<FinishReason>,
    /// The provider's own id for the call; empty when it gave none.
    pub request_id: String,
    /// Request sent to last byte; connecting included where no connection was kept.
    pub latency: Duration,
}

/// How a call failed: classified here, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// Its kind.
    pub error_type: ErrorType,
    /// For a person: never a key, never a prompt; at most 2 KiB.
    pub message: String,
    /// What the provider asked to wait, unbounded as it came.
    pub retry_after: Option<Duration>,
    /// The provider's own id for the call; empty when it gave none.
    pub request_id: String,
    /// What it used all the same.
    pub usage: Usage,
    /// Request sent to the failure; absent when nothing was sent.
    pub latency: Option<Duration>,
}

/// Takes the text while it is written, in order: when the call succeeds, the pieces together are the answer's text,
/// byte for byte. When it fails, they are as much as was written. Dropping the call's future ends both.
pub trait TextSink: Send {
    /// The next piece of the text; never empty, without NUL, none beyond what is stored. The call waits for it: it must not block.
    fn push(&mut self, delta: &str);

    /// What the call has used by now, and its id; as far as that is told, and whenever more is. Who aborts the call has
    /// nothing else of it.
    fn told(&mut self, _usage: Usage, _request_id: &str) {}
}

/// A configured provider instance. It makes each call once: retries are the caller's.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Refuses parameters that the provider does not know, with INVALID_FIELD at `params.NAME`. They are never
    /// dropped in silence.
    fn check(&self, params: &Params) -> Result<()>;

    /// Whether a model that is not registered may be used at once: so with a base URL of one's own.
    fn takes_any_model(&self) -> bool;

    /// Calls the model. With a sink the provider is asked to stream, and each piece of the text goes there as it comes;
    /// without one it is asked for the whole answer. A stream that ends without a finish reason is a failure, `connection`.
    /// Dropping the future aborts the call.
    async fn call(&self, call: Call<'_>, sink: Option<&mut dyn TextSink>) -> Result<Answer, CallError>;
}
