//! What operators see of a server and a worker: the metrics that the board and the alerts of `deploy/` name, as they are and as
//! Debian's Prometheus fetches them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::Reply;
use prompt_ledger_testkit::ledger::Ledger;
use prompt_ledger_testkit::metrics::{self, MetricsText};
use prompt_ledger_testkit::poll;
use prompt_ledger_testkit::process::Process;
use prompt_ledger_testkit::services::{self, Prometheus};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::kit::{Deployment, ended, eventually, greet, submit};

pub(crate) fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file)
}

/// The metrics that a text names, by how they begin; of histograms also the suffixes.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let begins = |word: &&str| ["prompt_ledger_", "gen_ai_client_", "process_"].iter().any(|b| word.starts_with(b));
    words.filter(begins).map(str::to_owned).collect()
}

/// The labels that a text groups by.
fn grouped_by(text: &str) -> BTreeSet<&str> {
    let groups = text.split(" by (").skip(1).filter_map(|rest| rest.split(')').next());
    groups.flat_map(|labels| labels.split(", ")).collect()
}

/// A server and a worker that have done a bit of everything, and where their metrics are.
pub(crate) struct Busy {
    pub(crate) server: Ledger,
    _worker: Process,
    pub(crate) addrs: [SocketAddr; 2],
}

impl Busy {
    pub(crate) async fn of(deployment: &Deployment) -> Self {
        let (server, worker) = deployment.pair().await;
        let gpt = v1::ModelRef { provider: "openai".into(), model_name: "gpt-4o-mini".into() };
        server.priced(&gpt, 1_000_000_000, 2_000_000_000).await;
        server.run(greet()).await;
        let mut stream = server.stream(greet()).await;
        while stream.message().await.unwrap().is_some() {}
        deployment.model.next(Reply::status(500, "not now"));
        let id = submit(&server, v1::ExecutionSpec { max_retries: Some(1), ..greet() }).await;
        ended(&server, &id).await;
        let unknown = v1::GetPromptRequest { name: "nobody".into(), min_revision: None };
        server.registry().get_prompt(unknown).await.unwrap_err();
        let http = server.http.trim_start_matches("http://").parse().unwrap();
        assert_eq!(services::get(http, "/v1/prompts/greet").await.0, 401);
        let addrs = [metrics::served_at(server.process()).await, metrics::served_at(&worker).await];
        // Its end is told before it is noted.
        let is_end =
            |line: &str| line.starts_with("prompt_ledger_executions_ended_total{") && line.contains("succeeded");
        let noted = async || metrics::fetched(addrs[1]).await.text().lines().any(is_end);
        eventually("the worker's end", noted).await;
        Self { server, _worker: worker, addrs }
    }

    async fn fetched(&self) -> [MetricsText; 2] {
        [metrics::fetched(self.addrs[0]).await, metrics::fetched(self.addrs[1]).await]
    }
}

pub(crate) fn quick(deployment: Deployment) -> Deployment {
    deployment.with("RETRY_DELAYS", "10ms")
}

#[tokio::test]
async fn every_metric_that_the_board_and_the_alerts_name_is_shown_by_a_server_or_a_worker() {
    let deployment = quick(Deployment::new().await);
    let busy = Busy::of(&deployment).await;
    let shown = busy.fetched().await;
    for file in ["grafana/prompt-ledger.json", "prometheus/alerts.yml"] {
        let text = std::fs::read_to_string(deploy(file)).unwrap();
        let names = named(&text);
        assert!(names.len() > 5, "{file}: {names:?}");
        for name in names.iter().filter(|name| !name.ends_with('_')) {
            assert!(shown.iter().any(|text| text.has(name)), "{file} names {name}, which nobody shows");
        }
        // Prometheus itself adds `instance`.
        for label in grouped_by(&text).into_iter().filter(|label| *label != "instance") {
            let is_shown = |shown: &MetricsText| {
                ["{", ","].iter().any(|before| shown.text().contains(&format!("{before}{label}=\"")))
            };
            assert!(shown.iter().any(is_shown), "{file} groups by {label}, which no series has");
        }
    }
    for (process, text) in shown.iter().enumerate() {
        // Of each series a name and a bounded set of labels.
        assert!(text.text().lines().count() < 5_000 && !text.text().contains("otel_metric_overflow"), "{process}");
        assert!(!text.text().contains("greet"), "names of prompts are shown only where that is asked for");
    }
}

#[tokio::test]
async fn calls_executions_and_providers_are_counted_where_they_happen() {
    let deployment = quick(Deployment::new().await).with("METRICS_PROMPT_LABEL", "true");
    let busy = Busy::of(&deployment).await;
    let [server, worker] = busy.fetched().await;
    let openai = r#"gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o-mini""#;
    for (series, of_server, of_worker) in [
        (r#"prompt_ledger_rpc_duration_seconds_count{code="OK",method="RunExecution"}"#.to_owned(), Some(1.0), None),
        (r#"prompt_ledger_rpc_duration_seconds_count{code="OK",method="StreamExecution"}"#.to_owned(), Some(1.0), None),
        (
            r#"prompt_ledger_rpc_duration_seconds_count{code="NOT_FOUND",method="GetPrompt"}"#.to_owned(),
            Some(1.0),
            None,
        ),
        (r#"prompt_ledger_errors_total{door="grpc",reason="PROMPT_NOT_FOUND"}"#.to_owned(), Some(1.0), None),
        (r#"prompt_ledger_errors_total{door="http",reason="KEY_MISSING"}"#.to_owned(), Some(1.0), None),
        (
            r#"prompt_ledger_http_duration_seconds_count{method="GET",route="/v1/prompts/{name}",status="401"}"#
                .to_owned(),
            Some(1.0),
            None,
        ),
        (r#"prompt_ledger_executions_recorded_total{mode="sync"}"#.to_owned(), Some(2.0), Some(0.0)),
        (r#"prompt_ledger_executions_recorded_total{mode="async"}"#.to_owned(), Some(1.0), Some(0.0)),
        (
            r#"prompt_ledger_executions_ended_total{mode="sync",prompt="greet",status="succeeded"}"#.to_owned(),
            Some(2.0),
            None,
        ),
        (r#"prompt_ledger_retries_total{error_type="provider_error"}"#.to_owned(), Some(0.0), Some(1.0)),
        (r#"prompt_ledger_queue_wait_seconds_count"#.to_owned(), None, Some(2.0)),
        (format!(r#"gen_ai_client_inference_duration_seconds_count{{{openai}}}"#), Some(2.0), Some(1.0)),
        (
            format!(r#"gen_ai_client_inference_duration_seconds_count{{error_type="provider_error",{openai}}}"#),
            None,
            Some(1.0),
        ),
        (format!(r#"gen_ai_client_inference_time_to_first_chunk_seconds_count{{{openai}}}"#), Some(1.0), None),
        (r#"prompt_ledger_watch_slow_total"#.to_owned(), Some(0.0), Some(0.0)),
        (r#"prompt_ledger_results_waiting"#.to_owned(), Some(0.0), Some(0.0)),
    ] {
        assert_eq!(server.value(&series), of_server, "{series} of the server\n{}", server.text());
        assert_eq!(worker.value(&series), of_worker, "{series} of the worker\n{}", worker.text());
    }
    // Where two sends were slow it is open for a moment.
    let breaker = "prompt_ledger_broker_breaker_open";
    assert!(server.value(breaker).is_some() && worker.value(breaker).is_some(), "{}", server.text());
    assert!(server.has("prompt_ledger_queue_depth") && !worker.has("prompt_ledger_queue_depth"));
    assert!(server.value(r#"prompt_ledger_connections{door="grpc"}"#) >= Some(1.0), "{}", server.text());
    for pool in ["calls", "lists", "revisions", "leases", "health", "writes"] {
        for series in [
            format!(r#"prompt_ledger_store_connections{{pool="{pool}",state="in_use"}}"#),
            format!(r#"prompt_ledger_store_connections{{pool="{pool}",state="idle"}}"#),
            format!(r#"prompt_ledger_store_waiting{{pool="{pool}"}}"#),
        ] {
            assert!(server.value(&series).is_some() && worker.value(&series).is_some(), "{series}");
        }
    }
}

#[tokio::test]
async fn prometheus_fetches_a_server_and_a_worker_and_reads_the_alerts() {
    let deployment = quick(Deployment::new().await);
    let busy = Busy::of(&deployment).await;
    let prometheus = Prometheus::start(&busy.addrs, &deploy("prometheus/alerts.yml").canonicalize().unwrap()).await;
    eventually("both to be fetched", async || prometheus.value("sum(up)").await == Some(2.0)).await;
    for (expression, value) in [
        (r#"sum(prompt_ledger_rpc_duration_seconds_count{method="RunExecution"})"#, 1.0),
        ("sum(prompt_ledger_executions_ended_total)", 3.0),
        (r#"count(target_info{service_name="prompt-ledger-worker"})"#, 1.0),
        (r#"count(target_info{service_name="prompt-ledger"})"#, 1.0),
    ] {
        assert_eq!(prometheus.value(expression).await, Some(value), "{expression}");
    }
    eventually("the alerts to be evaluated", async || {
        let groups = prometheus.ask("/api/v1/rules").await["groups"].clone();
        let all: Vec<_> =
            groups.as_array().unwrap().iter().flat_map(|g| g["rules"].as_array().unwrap().clone()).collect();
        all.len() > 5 && all.iter().all(|rule| rule["health"] == "ok")
    })
    .await;
    // Those that are pending are among them, and a slow machine may bring about one for a moment.
    poll::eventually("nothing to be wrong", Duration::from_secs(60), async || {
        let alerts = prometheus.ask("/api/v1/alerts").await["alerts"].clone();
        if alerts.as_array().unwrap().is_empty() { Ok(()) } else { Err(alerts) }
    })
    .await;
}

#[tokio::test]
async fn a_worker_beside_a_server_finds_the_next_port_and_off_is_off() {
    let deployment = Deployment::new().await;
    let (server, worker) = tokio::join!(
        deployment.builder().without("METRICS_ADDR").start(),
        deployment.worker_builder().without("METRICS_ADDR").start_worker()
    );
    let ports = [metrics::served_at(server.process()).await, metrics::served_at(&worker).await].map(|addr| addr.port());
    assert!(ports.iter().all(|port| (9_464..9_480).contains(port)) && ports[0] != ports[1], "{ports:?}");
    let taken = format!("127.0.0.1:{}", ports[0]);
    let (started, said) = deployment.worker_builder().env("METRICS_ADDR", &taken).said(&[]);
    assert!(!started && said.contains(&format!("METRICS_ADDR: cannot listen on {taken}")), "{said}");
    let off = deployment.builder().env("METRICS_ADDR", "off").start().await;
    assert!(!off.output().iter().any(|line| line.contains("metrics")), "{:?}", off.output());
}

#[tokio::test]
async fn a_call_over_http_whose_caller_hangs_up_is_counted_too() {
    let deployment = Deployment::new().await;
    let server = deployment.server().await;
    server.active("greet", "hello").await;
    deployment.model.next(Reply::hang());
    let mut stream = TcpStream::connect(server.http.trim_start_matches("http://")).await.unwrap();
    let (key, body) = (&server.key, r#"{"prompt_name": "greet"}"#);
    let head = format!(
        "Host: localhost\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {}",
        body.len()
    );
    let request = format!("POST /v1/executions:run HTTP/1.1\r\n{head}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    deployment.model.wait_for_calls(1).await;
    drop(stream);
    let addr = metrics::served_at(server.process()).await;
    let series = r#"prompt_ledger_http_duration_seconds_count{method="POST",route="/v1/executions:run",status="499"}"#;
    eventually("its end to be noted", async || metrics::fetched(addr).await.value(series) == Some(1.0)).await;
}
