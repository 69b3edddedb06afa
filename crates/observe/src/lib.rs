//! What the operators of a process see of it besides its log: metrics, for Prometheus to fetch and pushed by OTLP, and traces.
//!
//! The only crate that names OpenTelemetry and Prometheus: others note what happens by the functions here, one module for each
//! part of the product. Instruments belong to the process, as its log does, so that nothing has to be handed through its
//! layers. Until [`Observer::start`], and where nothing is collected, a note costs a branch.
//!
//! No label has an unbounded value: no ids, no keys, no texts; the names of prompts only where METRICS_PROMPT_LABEL says so.
#![warn(missing_docs)]
#![allow(clippy::disallowed_types, reason = "instruments belong to the process, as its log does")]

pub mod brokers;
pub mod executions;
mod family;
pub mod front;
mod genai;
mod held;
mod instruments;
mod listener;
mod otlp;
mod process;
pub mod providers;
pub mod serving;
pub mod store;
mod texts;
pub mod trace;

use std::net::SocketAddr;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prompt_ledger_runtime::config::ObserveConfig;
use tokio_util::sync::CancellationToken;

pub use self::held::LevelHold;
use self::instruments::Instruments;
use self::listener::MetricsListener;
use self::trace::Tracing;

/// What instruments and spans are named as being of.
const SCOPE: &str = "prompt-ledger";
/// The most that the last push may take, at the end of the process.
const LAST_PUSH: Duration = Duration::from_secs(1);

/// What shows this process to its operators.
pub struct Observer {
    listener: Option<MetricsListener>,
    /// Absent where nothing is collected.
    meters: Option<SdkMeterProvider>,
    /// Absent where no spans are made.
    spans: Option<SdkTracerProvider>,
}

impl Observer {
    /// Starts what is configured. `service` and `instance` are how this process is called in what is pushed; a process
    /// starts one observer, and what is noted before is not shown. Must be called within a tokio runtime.
    pub async fn start(config: &ObserveConfig, service: &'static str, instance: &str) -> Result<Self, String> {
        let listener = MetricsListener::bind(config.metrics_addr).await?;
        if listener.is_none() && config.otlp.is_none() {
            return Ok(Self { listener, meters: None, spans: None });
        }
        let resource = Resource::builder_empty()
            .with_service_name(service)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", instance.to_owned()))
            .build();
        let mut spans = None;
        if let Some(receiver) = &config.otlp {
            let provider = otlp::spans(receiver, config.trace.share, resource.clone())?;
            Tracing { tracer: provider.tracer(SCOPE), config: config.trace }.set();
            spans = Some(provider);
        }
        let mut builder = SdkMeterProvider::builder().with_resource(resource);
        if let Some(listener) = &listener {
            builder = builder.with_reader(listener.reader()?);
        }
        if let Some(receiver) = &config.otlp {
            builder = builder.with_reader(otlp::metrics(receiver)?);
        }
        let meters = builder.build();
        let meter = meters.meter(SCOPE);
        if Instruments::new(&meter, config).set() {
            register(&meter);
        }
        Ok(Self { listener, meters: Some(meters), spans })
    }

    /// Where `/metrics` is; absent where it is off.
    #[must_use]
    pub fn addr(&self) -> Option<SocketAddr> {
        self.listener.as_ref().map(MetricsListener::addr)
    }

    /// Answers `/metrics` until `stop`; returns at once where it is off. What is left may be closed then.
    pub fn serve(&mut self, stop: CancellationToken) -> impl Future<Output = ()> + Send + use<> {
        let listener = self.listener.take();
        async move {
            match listener {
                Some(listener) => listener.serve(stop).await,
                None => stop.cancelled().await,
            }
        }
    }

    /// Pushes what was noted since the last push, where it is pushed.
    pub async fn close(self) {
        let Self { meters, spans, .. } = self;
        // Both wait for the threads that push. What they could not push is logged.
        let spans = tokio::task::spawn_blocking(move || spans.map(|spans| spans.shutdown_with_timeout(LAST_PUSH)));
        let meters = tokio::task::spawn_blocking(move || meters.map(|meters| meters.shutdown_with_timeout(LAST_PUSH)));
        let _ = tokio::time::timeout(LAST_PUSH, async { tokio::join!(spans, meters) }).await;
    }
}

/// Makes everything that is kept in statics part of what is collected.
fn register(meter: &Meter) {
    let all: [&'static dyn family::Collected; 21] = [
        &front::CONNECTIONS,
        &front::REFUSED,
        &front::REQUEST_BYTES,
        &executions::RECORDED,
        &executions::RUNNING,
        &executions::QUEUED,
        &executions::OLDEST,
        &executions::HANDED_BACK,
        &executions::LEASES_LOST,
        &executions::UNWRITTEN,
        &executions::LOST,
        &store::ACTIVE,
        &store::POOLS,
        &brokers::BREAKER,
        &brokers::DROPPED,
        &serving::WATCHERS,
        &serving::DELIVERED,
        &serving::SLOW,
        &serving::CACHE,
        &serving::ROLLUPS,
        &process::PROCESS,
    ];
    for collected in all {
        collected.register(meter);
    }
}

#[cfg(test)]
mod tests;
