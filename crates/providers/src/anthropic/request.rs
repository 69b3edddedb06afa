//! Builds requests of the Messages API.

use prompt_ledger_domain::execution::{ChatMessage, Input};
use prompt_ledger_domain::provider::ANTHROPIC_MAX_TOKENS;
use serde::Serialize;

use crate::Call;

/// The body of a request. Absent parameters are not sent.
#[derive(Serialize)]
pub(super) struct MessagesRequest<'a> {
    model: &'a str,
    max_tokens: i32,
    #[serde(skip_serializing_if = "String::is_empty")]
    system: String,
    messages: Vec<AnthropicMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repetition_penalty: Option<f64>,
    /// Always sent: some servers stream unless they are told not to.
    stream: bool,
}

#[derive(Serialize)]
struct AnthropicMessage<'a> {
    role: &'a str,
    content: &'a str,
}

pub(super) fn body<'a>(call: &Call<'a>, streams: bool) -> MessagesRequest<'a> {
    let (system, messages) = match call.input {
        Input::Prompt(text) => (Vec::new(), vec![AnthropicMessage { role: "user", content: text }]),
        Input::Messages(messages) => {
            let (system, others): (Vec<_>, Vec<_>) = messages.iter().partition(|message| is_system(message));
            let others = others.into_iter().map(|m| AnthropicMessage { role: &m.role, content: &m.content }).collect();
            (system.into_iter().map(|message| message.content.as_str()).collect(), others)
        }
    };
    let params = call.params;
    MessagesRequest {
        model: call.model,
        max_tokens: params.max_new_tokens.unwrap_or(ANTHROPIC_MAX_TOKENS),
        system: system.join("\n\n"),
        messages,
        temperature: params.temperature,
        top_p: params.top_p,
        top_k: params.top_k,
        repetition_penalty: params.repetition_penalty,
        stream: streams,
    }
}

/// OpenAI's two roles for what the API takes in `system`.
fn is_system(message: &ChatMessage) -> bool {
    matches!(message.role.as_str(), "system" | "developer")
}
