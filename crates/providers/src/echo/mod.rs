//! A model that repeats its input: offline and deterministic.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use prompt_ledger_domain::capabilities::ModelRequest;
use prompt_ledger_domain::chat::{ChatMessage, ContentPart, ToolCall};
use prompt_ledger_domain::execution::{FinishReason, Input};
use prompt_ledger_domain::limits;
use prompt_ledger_domain::model::Usage;
use prompt_ledger_domain::provider::{ProviderKind, ProviderTraits};
use prompt_ledger_domain::tool::ToolRule;

use crate::{Answer, Call, CallError, Provider, TextSink, ToolCallPiece};

/// Time between two words: as fast as one reads.
pub const PACE: Duration = Duration::from_millis(50);
/// Words of an answer of `long`, at least.
pub const LONG_WORDS: usize = 500;

/// Answers with the rendered prompt, or the texts of the last `user` message, word by word; where the tool choice names a
/// tool, with a call of it. Each word counts as one token. Accepts everything; `max_new_tokens` cuts the answer. The models
/// `slow` and `long` stream a word per [`PACE`], `long` repeats its words up to [`LONG_WORDS`]; every other name is `echo`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

#[async_trait]
impl Provider for Echo {
    fn traits(&self) -> ProviderTraits {
        ProviderTraits { kind: Some(ProviderKind::Echo), is_own_place: false }
    }

    async fn call(&self, call: Call<'_>, sink: Option<&mut dyn TextSink>) -> Result<Answer, CallError> {
        let begun = Instant::now();
        let ModelRequest { input, params, .. } = call.request;
        let most = params.max_new_tokens.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        let tool_call = called(&call.request);
        let mut said = if tool_call.is_some() { Cow::Borrowed("") } else { last_words(input) };
        if call.model == "long" {
            said = Cow::Owned(repeated(&said, LONG_WORDS));
        }
        let is_paced = matches!(call.model, "slow" | "long") && !call.whole;
        let heard = start(&said, most);
        let text = heard.replace('\0', "\u{fffd}");
        if let Some(sink) = sink {
            for (number, word) in text.split_inclusive(char::is_whitespace).enumerate() {
                if is_paced && number > 0 {
                    tokio::time::sleep(PACE).await;
                }
                sink.push(word);
            }
            if let Some(ToolCall { id, name, arguments }) = &tool_call {
                sink.push_call(ToolCallPiece { index: 0, offset: 0, id, name, arguments });
            }
        }
        let finish_reason = match (&tool_call, heard.len() < said.len()) {
            (Some(_), _) => FinishReason::ToolCalls,
            (None, true) => FinishReason::Length,
            (None, false) => FinishReason::Stop,
        };
        Ok(Answer {
            usage: Usage {
                prompt_tokens: Some(count(texts(input).map(words).sum())),
                response_tokens: Some(count(words(&text))),
                ..Usage::default()
            },
            finish_reason: Some(finish_reason),
            text,
            truncated: false,
            tool_calls: tool_call.into_iter().collect(),
            refused: false,
            request_id: String::new(),
            response_model: call.model.to_owned(),
            requests: 1,
            latency: begun.elapsed(),
        })
    }
}

/// A call of the tool that the tool choice names, without arguments.
fn called(request: &ModelRequest<'_>) -> Option<ToolCall> {
    match &request.tool_choice?.rule {
        Some(ToolRule::Tool(name)) => {
            Some(ToolCall { id: "call_0".to_owned(), name: name.clone(), arguments: "{}".to_owned() })
        }
        _ => None,
    }
}

/// The prompt, or the texts of the last message of the role `user`; empty where there is none.
fn last_words(input: &Input) -> Cow<'_, str> {
    match input {
        Input::Prompt(text) => Cow::Borrowed(text),
        Input::Messages(messages) => match messages.iter().rfind(|message| message.role == "user") {
            None => Cow::Borrowed(""),
            Some(message) if message.parts.is_empty() => Cow::Borrowed(&message.content),
            Some(message) => Cow::Owned(said(message).collect::<Vec<_>>().join("\n")),
        },
    }
}

fn texts(input: &Input) -> impl Iterator<Item = &str> {
    let (prompt, messages) = match input {
        Input::Prompt(text) => (Some(text.as_str()), &[][..]),
        Input::Messages(messages) => (None, messages.as_slice()),
    };
    prompt.into_iter().chain(messages.iter().flat_map(said))
}

/// The texts of a message.
fn said(message: &ChatMessage) -> impl Iterator<Item = &str> {
    fn part(part: &ContentPart) -> Option<&str> {
        if let ContentPart::Text(text) = part { Some(text) } else { None }
    }
    std::iter::once(message.content.as_str())
        .filter(|text| !text.is_empty())
        .chain(message.parts.iter().filter_map(part))
}

/// The first `most` words of `text`; all of it when no word is left out.
fn start(text: &str, most: usize) -> &str {
    let mut words = text.split_whitespace();
    let Some(first_left_out) = words.nth(most) else { return text };
    // `split_whitespace` yields slices of `text`: everything before the first omitted word stays, without the space
    // between.
    let end = first_left_out.as_ptr().addr() - text.as_ptr().addr();
    text[..end].trim_end()
}

/// The text again and again, until it has so many words or is as long as what is stored; empty where it has none.
fn repeated(text: &str, least: usize) -> String {
    let times = least.div_ceil(words(text).max(1)).min(limits::RESPONSE_BYTES / text.len().max(1) + 1);
    vec![text.trim(); times].join(" ").trim().to_owned()
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn count(words: usize) -> i32 {
    i32::try_from(words).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cut_after_a_word() {
        for (text, most, expected) in [
            ("", 1, ""),
            ("one two  three", 2, "one two"),
            ("one two  three", 3, "one two  three"),
            ("one two\n", 2, "one two\n"),
            (" one two", 1, " one"),
            ("one", 0, ""),
            ("äö üß", 1, "äö"),
        ] {
            assert_eq!(start(text, most), expected, "{text:?} {most}");
        }
    }
}
