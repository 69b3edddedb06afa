//! A receiver of OpenTelemetry's protocol over gRPC, which keeps the spans that processes push.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// Bounds the wait for spans: they come much sooner, or never.
const WAIT_LIMIT: Duration = Duration::from_secs(30);

/// A span as it was received; ids are hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedSpan {
    /// `service.name` of who pushed it.
    pub service: String,
    pub name: String,
    /// As the protocol numbers kinds: 1 internal, 2 server, 3 client, 5 consumer.
    pub kind: i32,
    pub trace_id: String,
    pub span_id: String,
    /// Empty where it has none.
    pub parent: String,
    /// Trace and span of each.
    pub links: Vec<(String, String)>,
    /// Values as text; of a list its elements, separated by commas.
    pub attributes: BTreeMap<String, String>,
    pub is_error: bool,
    /// In nanoseconds since 1970.
    pub ended_at: u64,
}

impl ReceivedSpan {
    /// The value of an attribute; absent where it has none of this name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

#[derive(Debug, Default)]
struct ReceivedPushes {
    spans: Vec<ReceivedSpan>,
    /// The names of the metrics, and how often each was pushed.
    metrics: BTreeMap<String, usize>,
    /// The headers `authorization` of pushes.
    authorizations: Vec<String>,
}

#[derive(Clone, Debug)]
struct OtlpInbox(Arc<Mutex<ReceivedPushes>>, watch::Sender<usize>);

/// A running receiver. Dropping it ends it.
#[derive(Debug)]
pub struct OtlpReceiver {
    addr: SocketAddr,
    collected: OtlpInbox,
    _serving: AbortOnDropHandle<()>,
}

impl OtlpReceiver {
    /// One on a free port.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let collected = OtlpInbox(Arc::default(), watch::channel(0).0);
        let server = Server::builder()
            .add_service(TraceServiceServer::new(collected.clone()))
            .add_service(MetricsServiceServer::new(collected.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let serving = tokio::spawn(async move { server.await.unwrap() });
        Self { addr, collected, _serving: AbortOnDropHandle::new(serving) }
    }

    /// For OTEL_EXPORTER_OTLP_ENDPOINT.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// All spans so far, in the order in which they came.
    #[must_use]
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.collected.0.lock().unwrap().spans.clone()
    }

    /// How often a metric was pushed.
    #[must_use]
    pub fn pushes_of(&self, metric: &str) -> usize {
        self.collected.0.lock().unwrap().metrics.get(metric).copied().unwrap_or_default()
    }

    /// The values of the header `authorization` so far.
    #[must_use]
    pub fn authorizations(&self) -> Vec<String> {
        self.collected.0.lock().unwrap().authorizations.clone()
    }

    /// Waits until something has come for which `found` returns a value.
    ///
    /// # Panics
    /// When nothing of the kind comes; the message has what came.
    pub async fn until<T>(&self, what: &str, mut found: impl FnMut(&Self) -> Option<T>) -> T {
        let mut came = self.collected.1.subscribe();
        let waiting = async {
            loop {
                came.borrow_and_update();
                if let Some(found) = found(self) {
                    return found;
                }
                came.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(WAIT_LIMIT, waiting).await;
        waited.unwrap_or_else(|_| panic!("{what} did not come: {:#?}", self.spans()))
    }

    /// Waits for the first span with this name of this service.
    ///
    /// # Panics
    /// When it does not come; the message has what came.
    pub async fn span(&self, service: &str, name: &str) -> ReceivedSpan {
        let is_it = |span: &ReceivedSpan| span.service == service && span.name == name;
        self.until(&format!("{name} of {service}"), |received| received.spans().into_iter().find(is_it)).await
    }
}

impl OtlpInbox {
    fn came<T>(&self, request: &Request<T>, keep: impl FnOnce(&mut ReceivedPushes)) {
        let mut received = self.0.lock().unwrap();
        if let Some(value) = request.metadata().get("authorization") {
            received.authorizations.push(value.to_str().unwrap().to_owned());
        }
        keep(&mut received);
        drop(received);
        self.1.send_modify(|count| *count += 1);
    }
}

#[tonic::async_trait]
impl TraceService for OtlpInbox {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.came(&request, |received| {
            for resource in &request.get_ref().resource_spans {
                let of = resource.resource.as_ref().map(|resource| texts(&resource.attributes)).unwrap_or_default();
                let service = of.get("service.name").cloned().unwrap_or_default();
                let spans = resource.scope_spans.iter().flat_map(|scope| &scope.spans);
                received.spans.extend(spans.map(|span| read(&service, span)));
            }
        });
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for OtlpInbox {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.came(&request, |received| {
            let scopes = request.get_ref().resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
            for metric in scopes.flat_map(|scope| &scope.metrics) {
                *received.metrics.entry(metric.name.clone()).or_default() += 1;
            }
        });
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

fn read(service: &str, span: &Span) -> ReceivedSpan {
    ReceivedSpan {
        service: service.to_owned(),
        name: span.name.clone(),
        kind: span.kind,
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        attributes: texts(&span.attributes),
        is_error: span.status.as_ref().is_some_and(|status| status.code == 2),
        ended_at: span.end_time_unix_nano,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes.iter().map(|of| (of.key.clone(), of.value.as_ref().map(text).unwrap_or_default())).collect()
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::ArrayValue(list)) => list.values.iter().map(text).collect::<Vec<_>>().join(","),
        other => format!("{other:?}"),
    }
}
