//! The trace context of OpenTelemetry, as W3C Trace Context puts it into headers: `traceparent` and `tracestate`. Without the feature
//! `opentelemetry`, none is sent.

use std::future::Future;

#[cfg(feature = "opentelemetry")]
use opentelemetry::{
    Context,
    context::FutureExt as _,
    trace::{SpanContext, TraceContextExt as _, TraceFlags},
};
use tonic::metadata::MetadataMap;

/// The span that was current when something was asked for that makes its calls later, perhaps on another task. It is no context,
/// which would keep that span from ending.
#[derive(Clone, Debug)]
pub(crate) struct CallerSpan {
    #[cfg(feature = "opentelemetry")]
    span: SpanContext,
}

impl CallerSpan {
    pub(crate) fn current() -> Self {
        Self {
            #[cfg(feature = "opentelemetry")]
            span: Context::map_current(|context| context.span().span_context().clone()),
        }
    }

    /// Makes a call for that span.
    #[cfg(feature = "opentelemetry")]
    pub(crate) fn around<F: Future>(&self, call: F) -> impl Future<Output = F::Output> + use<F> {
        call.with_context(Context::current().with_remote_span_context(self.span.clone()))
    }

    /// Makes a call.
    #[cfg(not(feature = "opentelemetry"))]
    pub(crate) fn around<F: Future>(&self, call: F) -> impl Future<Output = F::Output> + use<F> {
        call
    }
}

/// Adds the current span; nothing where there is none, or the call names one already. One that is not sampled is told as that.
#[cfg(feature = "opentelemetry")]
pub(crate) fn inject(metadata: &mut MetadataMap) {
    let CallerSpan { span } = CallerSpan::current();
    if !span.is_valid() || metadata.contains_key("traceparent") {
        return;
    }
    let flags = span.trace_flags() & TraceFlags::SAMPLED;
    let parent = format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id());
    let state = span.trace_state().header();
    for (name, value) in [("traceparent", parent), ("tracestate", state)] {
        if let Some(value) = value.parse().ok().filter(|_| !value.is_empty()) {
            metadata.insert(name, value);
        }
    }
}

/// Adds nothing.
#[cfg(not(feature = "opentelemetry"))]
pub(crate) fn inject(_: &mut MetadataMap) {}

#[cfg(feature = "opentelemetry")]
#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use opentelemetry::Context;
    use opentelemetry::propagation::TextMapPropagator as _;
    use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use tonic::metadata::MetadataMap;

    use super::*;

    fn context(flags: TraceFlags, state: &[(&str, &str)]) -> Context {
        let state = TraceState::from_key_value(state.iter().copied()).unwrap();
        let span = SpanContext::new(TraceId::from(u128::MAX - 7), SpanId::from(9), flags, false, state);
        Context::new().with_remote_span_context(span)
    }

    fn injected(context: Context) -> HashMap<String, String> {
        let _current = context.attach();
        let mut metadata = MetadataMap::new();
        inject(&mut metadata);
        let pairs = metadata.as_ref().iter();
        pairs.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
    }

    #[test]
    fn the_current_span_is_sent_as_the_propagator_of_opentelemetry_sends_it() {
        for flags in [TraceFlags::SAMPLED, TraceFlags::NOT_SAMPLED, TraceFlags::new(0xff)] {
            for state in [&[][..], &[("vendor", "a:b"), ("other", "1")]] {
                let context = context(flags, state);
                let mut expected = HashMap::new();
                TraceContextPropagator::new().inject_context(&context, &mut expected);
                expected.retain(|_, value| !value.is_empty());
                let sent = injected(context.clone());
                assert_eq!(sent, expected);
                let read = TraceContextPropagator::new().extract(&sent);
                let (read, told) = (read.span().span_context().clone(), context.span().span_context().clone());
                assert_eq!(
                    (read.trace_id(), read.span_id(), read.is_sampled()),
                    (told.trace_id(), told.span_id(), told.is_sampled())
                );
            }
        }
    }

    #[test]
    fn without_a_span_nothing_is_sent_and_what_the_call_names_itself_stays() {
        assert!(injected(Context::new()).is_empty());
        let invalid = SpanContext::new(TraceId::INVALID, SpanId::from(9), TraceFlags::SAMPLED, false, TraceState::NONE);
        assert!(injected(Context::new().with_remote_span_context(invalid)).is_empty());
        let _current = context(TraceFlags::SAMPLED, &[]).attach();
        let mut metadata = MetadataMap::new();
        metadata.insert("traceparent", "00-own".parse().unwrap());
        inject(&mut metadata);
        assert_eq!(metadata.get("traceparent").unwrap(), "00-own");
    }

    #[tokio::test]
    async fn what_calls_later_calls_for_the_span_that_asked() {
        let asked = {
            let _current = context(TraceFlags::SAMPLED, &[]).attach();
            CallerSpan::current()
        };
        let called = || async {
            tokio::task::yield_now().await;
            Context::map_current(|context| context.span().span_context().clone())
        };
        let expected = context(TraceFlags::SAMPLED, &[]).span().span_context().clone();
        let joined = tokio::spawn({
            let asked = asked.clone();
            async move { asked.around(called()).await }
        });
        assert_eq!(joined.await.unwrap(), expected);
        assert!(!called().await.is_valid());
    }
}
