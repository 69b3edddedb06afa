//! A private Prometheus, Debian's, which fetches from the processes of a test.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::get;
use super::instance::Instance;

/// A running Prometheus. Dropping it ends it.
#[derive(Debug)]
pub struct Prometheus(Instance);

impl Prometheus {
    /// One that fetches from these addresses as the job `prompt-ledger`, five times a second, and has these rules.
    ///
    /// # Panics
    /// When it does not start; the message has its log.
    pub async fn start(targets: &[SocketAddr], rules: &Path) -> Self {
        let mut instance = Instance::new();
        let targets: Vec<_> = targets.iter().map(|addr| format!("'{addr}'")).collect();
        let config = format!(
            "global:\n  scrape_interval: 200ms\n  evaluation_interval: 200ms\nrule_files: ['{}']\nscrape_configs:\n\
             - job_name: prompt-ledger\n  static_configs:\n  - targets: [{}]\n",
            rules.display(),
            targets.join(", ")
        );
        let path = instance.path("prometheus.yml");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", path.display()));
        command.arg(format!("--storage.tsdb.path={}", instance.path("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{}", instance.port));
        let ready = async |port| {
            let addr = SocketAddr::from(([127, 0, 0, 1], port));
            tokio::net::TcpStream::connect(addr).await.is_ok() && get(addr, "/-/ready").await.0 == 200
        };
        instance.start(&mut command, ready).await;
        Self(instance)
    }

    /// The data of the answer of its API.
    ///
    /// # Panics
    /// When it does not answer with success.
    pub async fn ask(&self, path: &str) -> Value {
        let (status, body) = get(SocketAddr::from(([127, 0, 0, 1], self.0.port)), path).await;
        let answer: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {status} {body}"));
        assert!(status == 200 && answer["status"] == "success", "{path}: {status} {body}");
        answer["data"].clone()
    }

    /// The value of an expression that has one series; absent where it has none.
    ///
    /// # Panics
    /// When it does not answer, or there are several.
    pub async fn value(&self, expression: &str) -> Option<f64> {
        let escaped: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let found = self.ask(&format!("/api/v1/query?query={escaped}")).await;
        let series = found["result"].as_array().unwrap();
        assert!(series.len() < 2, "{expression}: {series:?}");
        series.first().map(|series| series["value"][1].as_str().unwrap().parse().unwrap())
    }
}
