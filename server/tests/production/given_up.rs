//! Callers that leave: at any moment of any call, which the server learns by the reset of its stream.

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use prompt_ledger_testkit::ledger::{Ledger, carried, put, server};
use prompt_ledger_testkit::metrics::{self, MetricsText};
use prompt_ledger_testkit::poll;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::audit::{Findings, audit};
use crate::kit::{Deployment, eventually, greet, request, submit};

/// The moments at which callers leave: so much later each time.
const STEP: Duration = Duration::from_micros(200);
const MOMENTS: u32 = 60;

/// What counts what is under way, by the beginning of its series; 0 once nothing is.
const LEVELS: [&str; 8] = [
    "prompt_ledger_connections{door=\"http\"",
    "prompt_ledger_executions_running",
    "prompt_ledger_request_bytes",
    "prompt_ledger_results_waiting",
    "prompt_ledger_store_calls",
    "prompt_ledger_store_connections{pool=",
    "prompt_ledger_store_waiting",
    "prompt_ledger_watch_streams",
];

fn keyed(key: String) -> v1::ExecutionSpec {
    v1::ExecutionSpec { idempotency_key: key, ..greet() }
}

/// Reads a stream to its end.
async fn read<T>(stream: tonic::Response<tonic::Streaming<T>>) -> Result<(), Status> {
    let mut stream = stream.into_inner();
    while stream.message().await?.is_some() {}
    Ok(())
}

/// One call of each kind by number, in the order in which they are numbered.
async fn call(server: &Ledger, kind: usize, moment: u32, queued: &str) -> Result<(), Status> {
    let (mut executions, mut registry) = (server.executions(), server.registry());
    let name = format!("p{}", moment % 7);
    match kind {
        0 => drop(executions.submit_execution(request(greet())).await?),
        1 => drop(executions.submit_execution(request(keyed(format!("s{moment}")))).await?),
        2 => drop(executions.run_execution(v1::RunExecutionRequest { spec: Some(greet()) }).await?),
        3 => {
            let spec = Some(keyed(format!("r{moment}")));
            drop(executions.run_execution(v1::RunExecutionRequest { spec }).await?);
        }
        4 => read(executions.stream_execution(v1::StreamExecutionRequest { spec: Some(greet()) }).await?).await?,
        5 => {
            let request = v1::CancelExecutionRequest { execution_id: queued.to_owned(), reason: String::new() };
            drop(executions.cancel_execution(request).await?);
        }
        6 => {
            let request = v1::PutPromptRequest { set_active: true, ..put(&name, &format!("template {moment}")) };
            drop(registry.put_prompt(request).await?);
        }
        7 => {
            let request = v1::SetLabelRequest {
                name: "greet".into(),
                label: format!("l{}", moment % 3),
                version_number: 1,
                ..v1::SetLabelRequest::default()
            };
            drop(registry.set_label(request).await?);
        }
        8 => drop(registry.list_prompts(v1::ListPromptsRequest::default()).await?),
        9 => drop(executions.list_executions(v1::ListExecutionsRequest::default()).await?),
        10 => read(registry.watch_prompts(v1::WatchPromptsRequest::default()).await?).await?,
        11 => read(executions.watch_executions(v1::WatchExecutionsRequest::default()).await?).await?,
        12 => {
            let prompts = vec![carried(&format!("c{}", moment % 5), &format!("template {moment}"))];
            let request = v1::RegisterCodePromptsRequest { prompts, ..v1::RegisterCodePromptsRequest::default() };
            drop(server.code().register_code_prompts(request).await?);
        }
        13 => read(registry.export_prompts(v1::ExportPromptsRequest::default()).await?).await?,
        14 => {
            let request = v1::GetExecutionRequest {
                execution_id: queued.to_owned(),
                wait: Some(prost_types::Duration { seconds: 20, nanos: 0 }),
                ..v1::GetExecutionRequest::default()
            };
            drop(executions.get_execution(request).await?);
        }
        _ => drop(
            executions
                .watch_execution(v1::WatchExecutionRequest { execution_id: queued.to_owned(), after_sequence: 0 })
                .await?,
        ),
    }
    Ok(())
}

const KINDS: usize = 16;

/// A call of the HTTP front by number; who makes it hangs up by dropping it.
async fn call_http(server: &Ledger, kind: usize, key: &str) {
    let (method, path, body) = match kind {
        0 => ("POST", "/v1/executions:run", r#"{"prompt_name":"greet"}"#),
        1 => ("POST", "/v1/executions:stream", r#"{"prompt_name":"greet"}"#),
        2 => ("POST", "/v1/executions:submit", r#"{"prompt_name":"greet"}"#),
        3 => ("PUT", "/v1/prompts/http", r#"{"template_source":"hello","set_active":true}"#),
        4 => ("GET", "/v1/executions/events", ""),
        _ => ("GET", "/v1/executions", ""),
    };
    let mut socket = TcpStream::connect(server.http.trim_start_matches("http://")).await.unwrap();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\n");
    let head = format!("{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}");
    socket.write_all(head.as_bytes()).await.unwrap();
    // Until it hangs up: the connection stays open.
    tokio::io::copy(&mut socket, &mut tokio::io::sink()).await.unwrap();
}

const HTTP_KINDS: usize = 6;

/// Makes every call again and again, and leaves at one moment after the other.
async fn calls_given_up(server: &Ledger) {
    for moment in 0..MOMENTS {
        let queued = submit(server, greet()).await;
        let calls = (0..KINDS).map(|kind| timeout(STEP * moment, call(server, kind, moment, &queued)));
        let http = (0..HTTP_KINDS).map(|kind| timeout(STEP * moment, call_http(server, kind, &server.key)));
        let (ended, _) = tokio::join!(join_all(calls), join_all(http));
        for status in ended.into_iter().filter_map(|ended| ended.ok()?.err()) {
            // Others were faster, or are at the same prompt.
            assert!(!matches!(status.code(), Code::Internal | Code::Unknown | Code::Unavailable), "{status:?}");
        }
    }
}

/// The sum of the series that begin so.
fn total(metrics: &MetricsText, series: &str) -> f64 {
    let of_it = |line: &&str| {
        line.strip_prefix(series).is_some_and(|rest| series.contains('{') || rest.starts_with(['{', ' ']))
    };
    let lines = metrics.text().lines().filter(of_it).filter(|line| !line.contains("state=\"idle\""));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Waits until these processes do nothing, and have counted the end of each execution that was recorded; returns how many
/// these are.
async fn idle(addrs: &[SocketAddr]) -> f64 {
    poll::eventually("processes that do nothing", Duration::from_secs(20), async || {
        let shown = join_all(addrs.iter().map(|addr| metrics::fetched(*addr))).await;
        let all = |series: &str| shown.iter().map(|text| total(text, series)).sum::<f64>();
        let is_shown = |level: &&str| shown.iter().any(|text| text.text().contains(*level));
        assert!(LEVELS.iter().all(is_shown), "{shown:?}");
        let under_way: Vec<_> =
            LEVELS.iter().map(|level| (*level, all(level))).filter(|(_, sum)| *sum != 0.0).collect();
        let counted = ["prompt_ledger_executions_recorded_total", "prompt_ledger_executions_ended_total"].map(all);
        let is_idle = under_way.is_empty() && counted[0] == counted[1];
        is_idle.then_some(counted[0]).ok_or((under_way, counted))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_leave_at_any_moment_leave_nothing_behind() {
    let deployment = Deployment::new().await;
    deployment.model.otherwise(Reply::echo().delay(Duration::from_millis(3)));
    let (server, worker) = deployment.pair().await;
    calls_given_up(&server).await;
    let count = |of: &str| deployment.sql(&format!("SELECT count(*) FROM {of}")).trim().parse::<f64>().unwrap();
    let open = async || count("executions WHERE completed_at IS NULL") == 0.0;
    eventually("the end of what was recorded", open).await;
    assert_eq!(audit(&deployment, &[]), Findings::default());
    // A transaction that nobody ends would hold what later calls write.
    let marks: Vec<_> = (0..20).map(|number| format!("mark{number}")).collect();
    join_all(marks.iter().map(|name| server.active(name, "hello"))).await;
    assert_eq!(count("prompts WHERE name LIKE 'mark%'"), 20.0);
    let addrs = [metrics::served_at(server.process()).await, metrics::served_at(&worker).await];
    assert_eq!(idle(&addrs).await, count("executions"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_of_dev_that_leave_at_any_moment_leave_nothing_behind() {
    let model = FakeModel::start().await;
    model.otherwise(Reply::echo().delay(Duration::from_millis(3)));
    let dev = server(env!("CARGO_BIN_EXE_prompt-ledger")).openai(&model.base_url()).env("LOG", "info").start().await;
    dev.active("greet", "hello").await;
    calls_given_up(&dev).await;
    assert!(idle(&[metrics::served_at(dev.process()).await]).await >= f64::from(MOMENTS));
}
