//! Builds requests of chat completions.

use async_openai::types::chat::ChatCompletionStreamOptions;
use prompt_ledger_domain::execution::Input;
use serde::Serialize;

use crate::Call;
use crate::http::RequestForm;

/// The body of a request. Absent parameters are not sent. async-openai's own type copies the texts, knows four roles,
/// has single precision and lacks the parameters of compatible servers.
#[derive(Serialize)]
pub(super) struct ChatRequest<'a> {
    model: &'a str,
    messages: Vec<OpenAiMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repetition_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<i32>,
    /// In place of `max_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<i32>,
    /// Always sent: some servers stream unless they are told not to.
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<ChatCompletionStreamOptions>,
}

/// The content is a plain string: some compatible servers take no parts.
#[derive(Serialize)]
struct OpenAiMessage<'a> {
    role: &'a str,
    content: &'a str,
}

pub(super) fn body<'a>(call: &Call<'a>, form: RequestForm, streams: bool) -> ChatRequest<'a> {
    let messages = match call.input {
        Input::Prompt(text) => vec![OpenAiMessage { role: "user", content: text }],
        Input::Messages(messages) => {
            messages.iter().map(|message| OpenAiMessage { role: &message.role, content: &message.content }).collect()
        }
    };
    let params = call.params;
    let options = ChatCompletionStreamOptions { include_usage: Some(true), ..ChatCompletionStreamOptions::default() };
    ChatRequest {
        model: call.model,
        messages,
        temperature: params.temperature,
        top_p: params.top_p,
        top_k: params.top_k,
        repetition_penalty: params.repetition_penalty,
        max_tokens: params.max_new_tokens.filter(|_| !form.is_completion_limit),
        max_completion_tokens: params.max_new_tokens.filter(|_| form.is_completion_limit),
        stream: streams,
        stream_options: (streams && form.asks_for_usage).then_some(options),
    }
}
