//! What a process shows at METRICS_ADDR.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The metrics of a process at one time, in the text form of Prometheus.
#[derive(Clone, Debug)]
pub struct MetricsText(String);

/// Where a process serves its metrics, by its log.
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

/// Status and body of the answer to a GET.
///
/// # Panics
/// When nobody answers, or not in HTTP.
pub async fn get(addr: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: */*\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer of HTTP: {answer}"));
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status: {head}")), body.to_owned())
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
