//! Spans: one for each call of a server, for each attempt of an execution, and for each call of a provider; where `LOG` asks for
//! them, one for each call of the store.
//!
//! Where nothing is pushed no span is made, and the trace of a caller is handed on as it came.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceState,
};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SdkTracer, Span};
use prompt_ledger_domain::Reason;
use prompt_ledger_domain::chat::ToolCall;
use prompt_ledger_domain::execution::{FinishReason, Input};
use prompt_ledger_domain::trace::TraceParent;
use prompt_ledger_runtime::config::TraceConfig;
use prompt_ledger_runtime::telemetry;
use tracing::Level;

use crate::{genai, texts};

pub(crate) struct Tracing {
    pub(crate) tracer: SdkTracer,
    pub(crate) config: TraceConfig,
}

static TRACING: OnceLock<Tracing> = OnceLock::new();

impl Tracing {
    /// Spans are made with this tracer from now on.
    pub(crate) fn set(self) {
        // A process has one observer; a second one makes no spans.
        let _ = TRACING.set(self);
    }
}

/// A piece of work and its span, which ends when this is dropped.
#[derive(Default)]
pub struct TracedWork {
    /// Absent where no spans are made.
    span: Option<Span>,
    /// Where no span is made: whose work it is.
    parent: Option<TraceParent>,
}

impl fmt::Debug for TracedWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedWork").field("context", &self.context()).finish_non_exhaustive()
    }
}

/// An attribute of a span.
pub(crate) type Attribute = (&'static str, Value);

impl TracedWork {
    fn begin(
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        parent: Option<TraceParent>,
        link: Option<TraceParent>,
    ) -> Self {
        let Some(Tracing { tracer, .. }) = TRACING.get() else {
            return Self { span: None, parent: parent.or(link) };
        };
        let context = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(of(parent)));
        let mut builder = SpanBuilder::from_name(name).with_kind(kind);
        if let Some(link) = link {
            builder = builder.with_links(vec![Link::with_context(of(link))]);
        }
        Self { span: Some(builder.start_with_context(tracer, &context)), parent }
    }

    /// What is handed on to whom this work calls; absent where there is no trace.
    #[must_use]
    pub fn context(&self) -> Option<TraceParent> {
        let Some(span) = &self.span else { return self.parent };
        let context = span.span_context();
        Some(TraceParent {
            trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(context.span_id().to_bytes()),
            sampled: context.is_sampled(),
        })
    }

    /// Whether anybody will read what is told of it.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.span.as_ref().is_some_and(Span::is_recording)
    }

    pub(crate) fn tell(&mut self, attributes: impl IntoIterator<Item = Attribute>) {
        if let Some(span) = self.span.as_mut().filter(|span| span.is_recording()) {
            span.set_attributes(attributes.into_iter().map(|(name, value)| KeyValue::new(name, value)));
        }
    }

    pub(crate) fn failed(&mut self, error_type: &'static str) {
        self.tell([(genai::ERROR_TYPE, error_type.into())]);
        if let Some(span) = &mut self.span {
            span.set_status(Status::error(error_type));
        }
    }
}

fn of(parent: TraceParent) -> SpanContext {
    let flags = TraceFlags::default().with_sampled(parent.sampled);
    SpanContext::new(parent.trace_id.into(), parent.span_id.into(), flags, true, TraceState::default())
}

/// A call over gRPC begins. `method` is a name of the contract.
#[must_use]
pub fn rpc(method: &'static str, parent: Option<TraceParent>) -> TracedWork {
    let mut work = TracedWork::begin(method, SpanKind::Server, parent, None);
    work.tell([("rpc.system.name", "grpc".into()), ("rpc.method", method.into())]);
    work
}

/// A call over gRPC ends with this code. `is_fault`: for a reason that is the server's.
pub fn rpc_ended(work: &mut TracedWork, code: &'static str, is_fault: bool) {
    work.tell([("rpc.response.status_code", code.into())]);
    if is_fault {
        work.failed(code);
    }
}

/// A call over HTTP begins. `route` is the pattern of its path; empty where no route fits.
#[must_use]
pub fn http(method: &'static str, route: &str, parent: Option<TraceParent>) -> TracedWork {
    if TRACING.get().is_none() {
        return TracedWork { span: None, parent };
    }
    let mut work = TracedWork::begin(format!("{method} {route}"), SpanKind::Server, parent, None);
    work.tell([("http.request.method", method.into()), ("http.route", route.to_owned().into())]);
    work
}

/// A call over HTTP ends with this status.
pub fn http_ended(work: &mut TracedWork, status: u16) {
    work.tell([("http.response.status_code", i64::from(status).into())]);
    if status >= 500 {
        work.failed("5xx");
    }
}

/// A call of the store begins, in the trace of the present task. Absent unless `LOG` shows `prompt_ledger_store` at DEBUG: a call
/// of a server makes several.
pub(crate) fn store(group: &'static str) -> Option<TracedWork> {
    if TRACING.get().is_none() || !tracing::enabled!(target: "prompt_ledger_store", Level::DEBUG) {
        return None;
    }
    let parent = telemetry::current()?;
    let mut work = TracedWork::begin(format!("store {group}"), SpanKind::Client, Some(parent), None);
    work.tell([("db.operation.name", group.into())]);
    Some(work)
}

/// A call of the store ends; `refused` says why it was refused, if it was.
pub(crate) fn store_ended(mut work: TracedWork, refused: Option<Reason>) {
    if let Some(reason) = refused.filter(|reason| matches!(reason, Reason::StoreUnavailable | Reason::Internal)) {
        work.failed(reason.as_str());
    }
}

/// What an attempt is of.
#[derive(Clone, Copy)]
pub struct AttemptTrace<'a> {
    /// The trace of who asked for the execution; absent where none was handed on.
    pub caller: Option<TraceParent>,
    /// Whether it was taken from the queue.
    pub is_queued: bool,
    /// The execution's id.
    pub execution_id: &'a dyn fmt::Display,
    /// The attempt's number, from 1.
    pub attempt: i32,
    /// The prompt's name.
    pub prompt: &'a str,
    /// The version's number.
    pub version: i32,
    /// The project's name.
    pub project: &'a str,
}

/// An attempt begins: within its call a part of the caller's trace; from the queue a trace of its own with a link to the
/// submit, or a part of that where TRACE_CONTINUOUS says so.
#[must_use]
pub fn attempt(of: AttemptTrace<'_>) -> TracedWork {
    let AttemptTrace { caller, is_queued, execution_id, attempt, prompt, version, project } = of;
    let is_continuous = TRACING.get().is_some_and(|tracing| tracing.config.continuous);
    let mut work = match is_queued {
        true if !is_continuous => TracedWork::begin("attempt", SpanKind::Consumer, None, caller),
        true => TracedWork::begin("attempt", SpanKind::Consumer, caller, None),
        false => TracedWork::begin("attempt", SpanKind::Internal, caller, None),
    };
    if work.is_recorded() {
        work.tell([
            ("prompt_ledger.execution.id", execution_id.to_string().into()),
            ("prompt_ledger.attempt", i64::from(attempt).into()),
            ("prompt_ledger.project", project.to_owned().into()),
            (genai::PROMPT_NAME, prompt.to_owned().into()),
            (genai::PROMPT_VERSION, version.to_string().into()),
        ]);
    }
    work
}

/// An attempt ends.
pub fn attempt_ended(work: &mut TracedWork, status: &'static str, error_type: Option<&'static str>) {
    work.tell([("prompt_ledger.execution.status", status.into())]);
    if let Some(error_type) = error_type {
        work.failed(error_type);
    }
}

/// A call of a provider that begins.
#[derive(Clone, Copy, Debug)]
pub struct CallTrace<'a> {
    /// The name of the instance.
    pub provider: &'a str,
    /// Its host, and its port where that is not the scheme's; empty where it is none.
    pub place: &'a str,
    /// The model as it is asked for.
    pub model: &'a str,
    /// Whether a stream is asked for.
    pub streams: bool,
    /// The prompt's name.
    pub prompt: &'a str,
    /// The version's number.
    pub version: i32,
    /// What is sent; told where texts are.
    pub input: &'a Input,
}

/// A call of a provider begins, as a part of this attempt.
#[must_use]
pub fn call(within: &TracedWork, of: CallTrace<'_>) -> TracedWork {
    let CallTrace { provider, place, model, streams, prompt, version, input } = of;
    let Some(tracing) = TRACING.get() else { return TracedWork { span: None, parent: within.context() } };
    let name = format!("{} {model}", genai::CHAT);
    let mut work = TracedWork::begin(name, SpanKind::Client, within.context(), None);
    if !work.is_recorded() {
        return work;
    }
    work.tell([
        (genai::OPERATION, genai::CHAT.into()),
        (genai::PROVIDER, provider.to_owned().into()),
        (genai::REQUEST_MODEL, model.to_owned().into()),
        (genai::REQUEST_STREAM, streams.into()),
        (genai::PROMPT_NAME, prompt.to_owned().into()),
        (genai::PROMPT_VERSION, version.to_string().into()),
    ]);
    // An IPv6 address has colons of its own, and stands in brackets.
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse::<i64>().ok()),
        _ => (place, None),
    };
    work.tell((!host.is_empty()).then(|| (genai::SERVER_ADDRESS, host.to_owned().into())));
    work.tell(port.map(|port| (genai::SERVER_PORT, port.into())));
    work.tell(tracing.config.genai_old.then(|| (genai::OLD_SYSTEM, provider.to_owned().into())));
    work.tell(tracing.config.text.then(|| (genai::INPUT_MESSAGES, texts::input(input).into())));
    work
}

/// What came of a call of a provider.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallEnd<'a> {
    /// As the provider names it; empty where it named none.
    pub response_model: &'a str,
    /// The provider's id; empty where it gave none.
    pub response_id: &'a str,
    /// Absent where it gave none.
    pub finish_reason: Option<FinishReason>,
    /// Why it failed; absent where it did not.
    pub error_type: Option<&'static str>,
    /// What the model wrote; told where texts are.
    pub text: &'a str,
    /// The calls that it asked for; told where texts are.
    pub tool_calls: &'a [ToolCall],
    /// As far as the provider reported it.
    pub usage: prompt_ledger_domain::model::Usage,
}

/// A call of a provider ends.
pub fn call_ended(work: &mut TracedWork, end: CallEnd<'_>) {
    if !work.is_recorded() {
        return;
    }
    let text = |name, text: &str| (!text.is_empty()).then(|| (name, Value::from(text.to_owned())));
    work.tell(text(genai::RESPONSE_MODEL, end.response_model));
    work.tell(text(genai::RESPONSE_ID, end.response_id));
    let reasons =
        |reason: FinishReason| Value::Array(Array::String(vec![StringValue::from(<&'static str>::from(reason))]));
    work.tell(end.finish_reason.map(|reason| (genai::FINISH_REASONS, reasons(reason))));
    let usage = end.usage;
    let written =
        [usage.cache_write_5m_tokens, usage.cache_write_1h_tokens].into_iter().flatten().reduce(i32::saturating_add);
    for (name, tokens) in [
        (genai::USAGE_INPUT, usage.prompt_tokens),
        (genai::USAGE_OUTPUT, usage.response_tokens),
        (genai::USAGE_CACHE_READ, usage.cached_prompt_tokens),
        (genai::USAGE_CACHE_WRITE, written),
    ] {
        work.tell(tokens.map(|tokens| (name, i64::from(tokens).into())));
    }
    if TRACING.get().is_some_and(|tracing| tracing.config.text) {
        let output = texts::output(end.text, end.tool_calls, end.finish_reason, end.error_type.is_some());
        work.tell(output.map(|output| (genai::OUTPUT_MESSAGES, output.into())));
    }
    if let Some(error_type) = end.error_type {
        work.failed(error_type);
    }
}
