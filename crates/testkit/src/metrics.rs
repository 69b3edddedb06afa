//! What a process shows at METRICS_ADDR.

use std::net::SocketAddr;

use serde_json::Value;

use crate::process::Process;
use crate::services::get;

/// The metrics of a process at one time, in the text form of Prometheus.
#[derive(Clone, Debug)]
pub struct MetricsText(String);

/// Where a process serves its metrics, by its log, once it says so: of its outputs, one may be read before the other.
///
/// # Panics
/// When its log, which must show INFO, does not say.
pub async fn served_at(process: &Process) -> SocketAddr {
    process.says(|line| line.contains("metrics are served")).await;
    addr(&process.output())
}

/// Where a process serves its metrics, by its log so far.
///
/// # Panics
/// When its log, which must show INFO, does not say.
#[must_use]
pub fn addr(output: &[String]) -> SocketAddr {
    let mut lines = output.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let served = lines.rfind(|line| line["message"] == "metrics are served");
    let addr = served.as_ref().and_then(|line| line["addr"].as_str());
    addr.unwrap_or_else(|| panic!("metrics are served nowhere: {output:#?}")).parse().unwrap()
}

/// What is served there now.
///
/// # Panics
/// When nobody answers.
pub async fn fetched(addr: SocketAddr) -> MetricsText {
    let answer = get(addr, "/metrics").await;
    assert!(answer.0 == 200, "{answer:?}");
    MetricsText(answer.1)
}

impl MetricsText {
    /// Whether a metric of this name is shown, with whatever labels.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let is_it = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        self.0.lines().any(is_it)
    }

    /// The value of a series, written as it is shown, labels in the order of their names; absent where it is not shown.
    #[must_use]
    pub fn value(&self, series: &str) -> Option<f64> {
        self.0.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// All of it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}
