//! Pushes by OTLP over gRPC: every 60 seconds, or as OTEL_METRIC_EXPORT_INTERVAL says. A push that fails is repeated for a few
//! seconds; then what it carried is in the next one, since all counts are totals. Spans are pushed in batches, every 5 seconds or as
//! OTEL_BSP_SCHEDULE_DELAY says; those that could not be pushed are lost.

use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, RetryPolicy, SpanExporter, WithExportConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::PeriodicReader;
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample};
use prompt_ledger_runtime::config::OtlpConfig;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue, ValueRefMut};
use tonic::transport::ClientTlsConfig;

/// What pushes metrics to this receiver. Must be called within a tokio runtime.
pub(crate) fn metrics(receiver: &OtlpConfig) -> Result<PeriodicReader<MetricExporter>, String> {
    let exporter = to(receiver, MetricExporter::builder().with_tonic())?.build().map_err(|error| refused(&error))?;
    Ok(PeriodicReader::builder(exporter).build())
}

/// What pushes spans to this receiver, of a share of the traces that no caller has decided on. Must be called within a tokio
/// runtime.
pub(crate) fn spans(receiver: &OtlpConfig, share: f64, resource: Resource) -> Result<SdkTracerProvider, String> {
    let exporter = to(receiver, SpanExporter::builder().with_tonic())?.build().map_err(|error| refused(&error))?;
    let builder = SdkTracerProvider::builder().with_resource(resource).with_sampler(AsBefore { share });
    Ok(builder.with_batch_exporter(exporter).build())
}

/// Spans are recorded as it was decided for the span that they are a part of, or else for the one that they are linked with; where
/// there is neither, a share of them.
#[derive(Clone, Debug)]
struct AsBefore {
    share: f64,
}

impl ShouldSample for AsBefore {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let parent = parent.filter(|parent| parent.has_active_span());
        let of_parent = parent.map(|parent| parent.span().span_context().is_sampled());
        let decided = of_parent.or_else(|| links.first().map(|link| link.span_context.is_sampled()));
        let decision = match decided {
            Some(true) => SamplingDecision::RecordAndSample,
            Some(false) => SamplingDecision::Drop,
            None => {
                let share = Sampler::TraceIdRatioBased(self.share);
                share.should_sample(None, trace_id, name, kind, attributes, links).decision
            }
        };
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::default() }
    }
}

fn refused(error: &ExporterBuildError) -> String {
    format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}")
}

/// What pushes to the receiver: with retries, and over https trusting the system's certificates.
fn to<B: WithExportConfig + WithTonicConfig>(receiver: &OtlpConfig, exporter: B) -> Result<B, String> {
    let exporter = exporter
        .with_endpoint(receiver.endpoint.as_str())
        .with_metadata(metadata(receiver)?)
        .with_interceptor(|push: Request<()>| Ok(secret(push)))
        .with_retry_policy(RetryPolicy::recommended());
    Ok(match receiver.endpoint.scheme() {
        "https" => exporter.with_tls_config(ClientTlsConfig::new().with_enabled_roots()),
        _ => exporter,
    })
}

/// All headers may hold secrets, and the library reads OTEL_EXPORTER_OTLP_HEADERS by itself too: none is shown by Debug, nor kept
/// by tables of HTTP/2.
fn secret(mut push: Request<()>) -> Request<()> {
    for value in push.metadata_mut().values_mut() {
        match value {
            ValueRefMut::Ascii(value) => value.set_sensitive(true),
            ValueRefMut::Binary(value) => value.set_sensitive(true),
        }
    }
    push
}

fn metadata(receiver: &OtlpConfig) -> Result<MetadataMap, String> {
    let mut metadata = MetadataMap::new();
    for (name, value) in &receiver.headers {
        let unfit = || format!("OTEL_EXPORTER_OTLP_HEADERS: `{name}` cannot be sent");
        let key: MetadataKey<Ascii> = name.parse().map_err(|_| unfit())?;
        let value: MetadataValue<Ascii> = value.expose().parse().map_err(|_| unfit())?;
        metadata.insert(key, value);
    }
    Ok(metadata)
}
