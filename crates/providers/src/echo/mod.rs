//! A model that repeats its input: offline and deterministic.

use std::time::Instant;

use async_trait::async_trait;
use prompt_ledger_domain::execution::{FinishReason, Input};
use prompt_ledger_domain::model::Usage;
use prompt_ledger_domain::provider::{ProviderKind, ProviderTraits};

use crate::{Answer, Call, CallError, Provider, TextSink};

/// Answers with the rendered prompt, or the last `user` message, word by word. Each word counts as one token. Accepts
/// every parameter; `max_new_tokens` cuts the answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

#[async_trait]
impl Provider for Echo {
    fn traits(&self) -> ProviderTraits {
        ProviderTraits { kind: Some(ProviderKind::Echo), is_own_place: false }
    }

    async fn call(&self, call: Call<'_>, sink: Option<&mut dyn TextSink>) -> Result<Answer, CallError> {
        let begun = Instant::now();
        let most = call.params.max_new_tokens.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        let said = last_words(call.input);
        let heard = start(said, most);
        let text = heard.replace('\0', "\u{fffd}");
        if let Some(sink) = sink {
            text.split_inclusive(char::is_whitespace).for_each(|word| sink.push(word));
        }
        Ok(Answer {
            usage: Usage {
                prompt_tokens: Some(count(texts(call.input).map(words).sum())),
                response_tokens: Some(count(words(&text))),
                ..Usage::default()
            },
            finish_reason: Some(if heard.len() < said.len() { FinishReason::Length } else { FinishReason::Stop }),
            text,
            truncated: false,
            request_id: String::new(),
            response_model: call.model.to_owned(),
            requests: 1,
            latency: begun.elapsed(),
        })
    }
}

/// The prompt, or the last message of the role `user`; empty where there is none.
fn last_words(input: &Input) -> &str {
    match input {
        Input::Prompt(text) => text,
        Input::Messages(messages) => {
            messages.iter().rfind(|message| message.role == "user").map_or("", |message| &message.content)
        }
    }
}

fn texts(input: &Input) -> impl Iterator<Item = &str> {
    let (prompt, messages) = match input {
        Input::Prompt(text) => (Some(text.as_str()), &[][..]),
        Input::Messages(messages) => (None, messages.as_slice()),
    };
    prompt.into_iter().chain(messages.iter().map(|message| message.content.as_str()))
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
