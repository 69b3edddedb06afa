//! Calls of model providers, by OpenTelemetry's conventions for generative AI.

use std::time::Duration;

use opentelemetry::KeyValue;
use prompt_ledger_domain::execution::ErrorType;
use prompt_ledger_domain::model::Usage;

use crate::genai;
use crate::instruments::{OldInstruments, instruments};

/// The model of calls whose model has no price: callers can name any, and each would be a series.
const OTHER: &str = "other";

/// A call of a provider that has ended.
#[derive(Clone, Copy, Debug)]
pub struct ProviderCall<'a> {
    /// The name of the instance.
    pub provider: &'a str,
    /// The model as it was asked for.
    pub model: &'a str,
    /// Whether the model is registered with a price. Others are counted together.
    pub is_registered: bool,
    /// From the request to the last byte, or to the abort.
    pub took: Duration,
    /// From the request to the first text; absent where none was streamed.
    pub first_chunk: Option<Duration>,
    /// Why it failed; absent where it succeeded.
    pub error: Option<CallFailure>,
    /// As far as the provider reported it.
    pub usage: Usage,
}

/// How a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFailure {
    /// The provider, or the way to it.
    Error(ErrorType),
    /// This process gave it up: a cancellation, a deadline, a shutdown, a lost lease.
    Aborted,
}

impl CallFailure {
    /// The word of its label.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error(error_type) => error_type.into(),
            Self::Aborted => "aborted",
        }
    }
}

/// A call of a provider has ended.
pub fn called(call: &ProviderCall<'_>) {
    let Some(instruments) = instruments() else { return };
    let model = if call.is_registered { call.model.to_owned() } else { OTHER.to_owned() };
    let mut labels = vec![
        KeyValue::new(genai::OPERATION, genai::CHAT),
        KeyValue::new(genai::PROVIDER, call.provider.to_owned()),
        KeyValue::new(genai::REQUEST_MODEL, model),
    ];
    if let Some(first) = call.first_chunk {
        instruments.first_chunks.record(first.as_secs_f64(), &labels);
    }
    let Usage { prompt_tokens, cached_prompt_tokens, cache_write_5m_tokens, cache_write_1h_tokens, response_tokens } =
        call.usage;
    labels.push(KeyValue::new(genai::MODALITY, genai::UNKNOWN));
    for (counter, tokens) in [
        (&instruments.input_tokens, prompt_tokens),
        (&instruments.output_tokens, response_tokens),
        (&instruments.cache_read_tokens, cached_prompt_tokens),
        (&instruments.cache_write_tokens, cache_write_5m_tokens),
        (&instruments.cache_write_tokens, cache_write_1h_tokens),
    ] {
        if let Some(tokens) = tokens.and_then(|tokens| u64::try_from(tokens).ok()).filter(|tokens| *tokens > 0) {
            counter.add(tokens, &labels);
        }
    }
    labels.pop();
    if let Some(OldInstruments { calls, tokens }) = &instruments.old {
        labels.push(KeyValue::new(genai::OLD_SYSTEM, call.provider.to_owned()));
        calls.record(call.took.as_secs_f64(), &labels);
        for (kind, count) in [("input", prompt_tokens), ("output", response_tokens)] {
            if let Some(count) = count.and_then(|count| u64::try_from(count).ok()) {
                labels.push(KeyValue::new(genai::OLD_TOKEN_TYPE, kind));
                tokens.record(count, &labels);
                labels.pop();
            }
        }
        labels.pop();
    }
    labels.extend(call.error.map(|error| KeyValue::new(genai::ERROR_TYPE, error.word())));
    instruments.provider_calls.record(call.took.as_secs_f64(), &labels);
}

/// An execution has ended that cost so much, in nano-US-dollars. Its model has a price.
pub fn cost(provider: &str, model: &str, nano_usd: i64) {
    if let Some(instruments) = instruments() {
        let labels = [
            KeyValue::new(genai::PROVIDER, provider.to_owned()),
            KeyValue::new(genai::REQUEST_MODEL, model.to_owned()),
        ];
        // Exact up to nine million dollars, and of a counter only the increase is read.
        instruments.cost.add(nano_usd as f64 / 1e9, &labels);
    }
}
