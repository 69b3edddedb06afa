//! The instruments whose labels are known only when something is noted. Every value of a label is one of a bounded set:
//! methods, codes, reasons, the names of configured providers, registered models.

use std::sync::OnceLock;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use prompt_ledger_domain::VariantArray as _;
use prompt_ledger_domain::execution::{ErrorType, Status};
use prompt_ledger_runtime::config::ObserveConfig;

use crate::genai;

/// Of calls and of the store, in seconds.
const DURATIONS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Of executions and of what waits for a worker, in seconds: up to a day.
const WAITS: [f64; 17] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0, 86_400.0];
const SIZES: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

pub(crate) struct Instruments {
    pub(crate) rpc: Histogram<f64>,
    pub(crate) http: Histogram<f64>,
    pub(crate) errors: Counter<u64>,
    pub(crate) executions_ended: Counter<u64>,
    pub(crate) execution_duration: Histogram<f64>,
    pub(crate) queue_wait: Histogram<f64>,
    pub(crate) retries: Counter<u64>,
    pub(crate) claims: Histogram<u64>,
    pub(crate) write_batches: Histogram<u64>,
    pub(crate) swept: Counter<u64>,
    pub(crate) store: Histogram<f64>,
    pub(crate) broker_messages: Counter<u64>,
    pub(crate) provider_calls: Histogram<f64>,
    pub(crate) first_chunks: Histogram<f64>,
    pub(crate) input_tokens: Counter<u64>,
    pub(crate) output_tokens: Counter<u64>,
    pub(crate) cache_read_tokens: Counter<u64>,
    pub(crate) cache_write_tokens: Counter<u64>,
    pub(crate) cost: Counter<f64>,
    /// Absent unless TRACE_GENAI_OLD is set.
    pub(crate) old: Option<OldInstruments>,
    /// Whether executions have the prompt as a label.
    pub(crate) prompt_label: bool,
}

/// Those of earlier conventions.
pub(crate) struct OldInstruments {
    pub(crate) calls: Histogram<f64>,
    pub(crate) tokens: Histogram<u64>,
}

static INSTRUMENTS: OnceLock<Instruments> = OnceLock::new();

/// Absent where nothing is collected.
pub(crate) fn instruments() -> Option<&'static Instruments> {
    INSTRUMENTS.get()
}

impl Instruments {
    pub(crate) fn new(meter: &Meter, config: &ObserveConfig) -> Self {
        let seconds = |name: &'static str, help: &'static str, bounds: &[f64]| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(help);
            histogram.with_boundaries(bounds.to_vec()).build()
        };
        let sizes = |name: &'static str, help: &'static str| {
            meter.u64_histogram(name).with_description(help).with_boundaries(SIZES.to_vec()).build()
        };
        let counter = |name: &'static str, help: &'static str| meter.u64_counter(name).with_description(help).build();
        let tokens = |name: &'static str, help: &'static str| {
            meter.u64_counter(name).with_unit("{token}").with_description(help).build()
        };
        let old = || OldInstruments {
            calls: seconds(genai::OLD_DURATION, "Calls of model providers", &genai::DURATION_BOUNDS),
            tokens: meter
                .u64_histogram(genai::OLD_TOKEN_USAGE)
                .with_unit("{token}")
                .with_description("Tokens of a call")
                .with_boundaries(genai::OLD_TOKEN_BOUNDS.to_vec())
                .build(),
        };
        Self {
            rpc: seconds(
                "prompt_ledger.rpc.duration",
                "Calls over gRPC, until they are answered; streams until they end",
                &DURATIONS,
            ),
            http: seconds(
                "prompt_ledger.http.duration",
                "Calls over HTTP but probes, until they are answered; streams until they end",
                &DURATIONS,
            ),
            errors: counter(
                "prompt_ledger.errors",
                "Errors that callers were told, by reason: refusals and bad keys included",
            ),
            executions_ended: counter("prompt_ledger.executions.ended", "Executions that have ended"),
            execution_duration: seconds(
                "prompt_ledger.execution.duration",
                "From the recording of an execution to its end",
                &WAITS,
            ),
            queue_wait: seconds(
                "prompt_ledger.queue.wait",
                "From when an attempt could begin to its claim: from the submit, or from the end of the pause before it",
                &WAITS,
            ),
            retries: counter("prompt_ledger.retries", "Attempts that failed and are followed by another one"),
            claims: sizes("prompt_ledger.claim.size", "Executions that a claim got"),
            write_batches: sizes("prompt_ledger.store.batch.size", "Writes that were committed together"),
            swept: counter("prompt_ledger.sweeps", "Executions that the sweeper ended or put back into the queue"),
            store: seconds(
                "prompt_ledger.store.duration",
                "Calls of the store, waits for a connection included",
                &DURATIONS,
            ),
            broker_messages: counter("prompt_ledger.broker.messages", "Hints and announcements given to a broker"),
            provider_calls: seconds(genai::DURATION, "Calls of model providers", &genai::DURATION_BOUNDS),
            first_chunks: seconds(
                genai::FIRST_CHUNK,
                "From a streamed call of a provider to its first text",
                &genai::FIRST_CHUNK_BOUNDS,
            ),
            input_tokens: tokens(genai::INPUT_TOKENS, "Tokens of prompts, as providers report them"),
            output_tokens: tokens(genai::OUTPUT_TOKENS, "Tokens of answers, as providers report them"),
            cache_read_tokens: tokens(genai::CACHE_READ_TOKENS, "Tokens of prompts that came from a provider's cache"),
            cache_write_tokens: tokens(genai::CACHE_WRITE_TOKENS, "Tokens of prompts that a provider's cache took"),
            cost: meter
                .f64_counter("prompt_ledger.cost.usd")
                .with_description("Cost of ended executions in US dollars")
                .build(),
            old: config.trace.genai_old.then(old),
            prompt_label: config.prompt_label,
        }
    }

    /// Tells of what has not happened yet, so that the first increase is seen.
    fn begin(&self) {
        for to in [Status::Queued, Status::Failed, Status::Canceled] {
            self.swept.add(0, &[KeyValue::new("to", <&str>::from(to))]);
        }
        for error_type in ErrorType::VARIANTS.iter().filter(|error_type| error_type.is_retryable()) {
            self.retries.add(0, &[KeyValue::new("error_type", <&str>::from(error_type))]);
        }
    }

    /// Notes go to these from now on. False where others are set.
    pub(crate) fn set(self) -> bool {
        self.begin();
        INSTRUMENTS.set(self).is_ok()
    }
}
