//! The HTTP front of `dev` beside gRPC, and beside a bare axum answer.

use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_event::Kind;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use prompt_ledger_testkit::ledger::{Ledger, spec};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::Mutex;

use super::http_client::{HttpCaller, SseReader};
use super::load::{Times, closed_loop, median};
use super::main_job::{CONNECTIONS, at, connections, resident_mib};
use super::release::{FigureError, release_binaries, subject};
use super::words::Ages;
use xtask::CommandOutcome;

/// Rounds per pair; medians are reported.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
/// Callers of HTTP/1.1, each on a connection of its own.
const CALLERS: usize = 64;
/// Longer than text is coalesced, so that each word is an event of its own.
const PACE: Duration = Duration::from_millis(40);
const WORDS: usize = 50;
const TEXTS: usize = 20;
/// Streams that are held open, over so many connections of HTTP/2.
const STREAMS: usize = 10_000;
const STREAM_CONNECTIONS: usize = 100;
/// Streams that are held open, each on a connection of HTTP/1.1 of its own.
const PLAIN_STREAMS: usize = 1_000;

const RUN: &str = r#"{"prompt_name": "greet", "variables": {"name": "Ada"}}"#;

pub(super) async fn run() -> CommandOutcome {
    measure().await.map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

async fn measure() -> Result<(), FigureError> {
    let binary = release_binaries(&["prompt-ledger-server"])?.join("prompt-ledger");
    get_prompt(&binary).await?;
    let model = FakeModel::start().await;
    let ledger = subject(&binary).openai(&model.base_url()).env("LOG", "warn").start().await;
    ledger.active("greet", "Say hello to {{name}}.").await;
    run_execution(&ledger, &model).await?;
    first_delta(&ledger, &model).await?;
    held(&binary, true).await?;
    held(&binary, false).await
}

/// GET of a prompt beside a bare axum answer of the same bytes.
async fn get_prompt(binary: &Path) -> Result<(), FigureError> {
    let ledger = subject(binary).start().await;
    ledger.active("greet", "Say hello to {{name}}, who has asked: {{question}}").await;
    let addr = ledger.http.trim_start_matches("http://").to_owned();
    let size = HttpCaller::http1(&addr, &ledger.key).await?.get("/v1/prompts/greet").await?.len();
    let mut bare = tokio::process::Command::new(std::env::current_exe()?)
        .args(["axum-server", &size.to_string()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = bare.stdout.take().ok_or("the bare server has no output")?;
    let bare = BufReader::new(stdout).lines().next_line().await?.ok_or("the bare server did not start")?;
    let (ours, bare) = (callers(&addr, &ledger.key).await?, callers(&bare, &ledger.key).await?);
    let (mut of_ours, mut of_bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for (callers, rounds) in [(&ours, &mut of_ours), (&bare, &mut of_bare)] {
            let callers = Arc::clone(callers);
            let call = move |caller: usize| {
                let callers = Arc::clone(&callers);
                async move { callers[caller].lock().await.get("/v1/prompts/greet").await.map(|_| ()) }
            };
            rounds.push(closed_loop(CALLERS, ROUND, call).await?);
        }
    }
    let rate = |of: &[Times]| median(of.iter().map(Times::rate).collect());
    println!("GET /v1/prompts/NAME, {CALLERS} callers {:8.0} /s     p99 {:.2} ms", rate(&of_ours), at(&of_ours, 0.99));
    println!("bare axum, {size} bytes            {:8.0} /s     p99 {:.2} ms", rate(&of_bare), at(&of_bare, 0.99));
    println!("  ratio                          {:8.2}        (aim 0.8)", rate(&of_ours) / rate(&of_bare));
    Ok(())
}

async fn callers(addr: &str, key: &str) -> Result<Arc<[Mutex<HttpCaller>]>, FigureError> {
    let mut callers = Vec::with_capacity(CALLERS);
    for _ in 0..CALLERS {
        callers.push(Mutex::new(HttpCaller::http1(addr, key).await?));
    }
    Ok(callers.into())
}

/// An execution over HTTP beside RunExecution, both of a model that answers at once.
async fn run_execution(ledger: &Ledger, model: &FakeModel) -> Result<(), FigureError> {
    model.otherwise(Reply::echo());
    let addr = ledger.http.trim_start_matches("http://");
    for callers in [1, 16] {
        let grpc: Arc<[_]> =
            connections(&ledger.addr, &ledger.key).await?.into_iter().map(ExecutionServiceClient::new).collect();
        let mut http = Vec::new();
        for _ in 0..callers {
            http.push(Mutex::new(HttpCaller::http1(addr, &ledger.key).await?));
        }
        let http: Arc<[_]> = http.into();
        let (mut of_grpc, mut of_http) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let clients = Arc::clone(&grpc);
            let call = move |caller: usize| {
                let mut client = clients[caller % CONNECTIONS].clone();
                let request = v1::RunExecutionRequest { spec: Some(spec("greet", &[("name", "Ada")])) };
                async move { client.run_execution(request).await.map(|_| ()) }
            };
            of_grpc.push(closed_loop(callers, ROUND, call).await?);
            let clients = Arc::clone(&http);
            let call = move |caller: usize| {
                let clients = Arc::clone(&clients);
                async move { clients[caller].lock().await.post("/v1/executions:run", RUN).await.map(|_| ()) }
            };
            of_http.push(closed_loop(callers, ROUND, call).await?);
        }
        println!("executions, {callers} callers, a model that answers at once");
        println!("  RunExecution                   {:8.2} ms     p99 {:.2} ms", at(&of_grpc, 0.5), at(&of_grpc, 0.99));
        println!("  POST /v1/executions:run        {:8.2} ms     p99 {:.2} ms", at(&of_http, 0.5), at(&of_http, 0.99));
        println!("  added at p50                   {:8.2} ms     (aim 0.1)", at(&of_http, 0.5) - at(&of_grpc, 0.5));
    }
    Ok(())
}

/// The age of the first word where it is read, over HTTP beside gRPC.
async fn first_delta(ledger: &Ledger, model: &FakeModel) -> Result<(), FigureError> {
    model.otherwise(Reply::clock(WORDS, PACE));
    let (mut of_grpc, mut of_http) = (Ages::new()?, Ages::new()?);
    let mut grpc = ExecutionServiceClient::new(connections(&ledger.addr, &ledger.key).await?.swap_remove(0));
    let mut http = HttpCaller::http1(ledger.http.trim_start_matches("http://"), &ledger.key).await?;
    for _ in 0..TEXTS {
        of_grpc.begins();
        let request = v1::StreamExecutionRequest { spec: Some(spec("greet", &[("name", "Ada")])) };
        let mut stream = grpc.stream_execution(request).await?.into_inner();
        while let Some(message) = stream.message().await? {
            if let Some(Kind::TextDelta(delta)) = message.event.and_then(|event| event.kind) {
                of_grpc.add(&delta.text);
            }
        }
        of_http.begins();
        let mut stream = SseReader::new(http.open("POST", "/v1/executions:stream", RUN).await?);
        while let Some((kind, data)) = stream.next().await? {
            if kind == "text_delta" {
                let data: Value = serde_json::from_str(&data)?;
                of_http.add(data["text"].as_str().unwrap_or_default());
            }
        }
    }
    println!("text, a word every {} ms: from the model's sending it", PACE.as_millis());
    of_grpc.say("StreamExecution", None);
    of_http.say("POST /v1/executions:stream", None);
    of_http.say("  added (aim 0.1 ms)", Some(&of_grpc));
    Ok(())
}

/// Memory of streams that are open and have nothing to tell, of each protocol on a server of its own: one that has freed
/// memory takes that first.
async fn held(binary: &Path, http2: bool) -> Result<(), FigureError> {
    let (what, streams, connections) = match http2 {
        true => ("HTTP/2", STREAMS, STREAM_CONNECTIONS),
        false => ("HTTP/1.1", PLAIN_STREAMS, PLAIN_STREAMS),
    };
    let model = FakeModel::start().await;
    let server = subject(binary).openai(&model.base_url()).env("LOG", "warn").env("MAX_WATCHERS_PER_KEY", "20000");
    let ledger = server.start().await;
    ledger.active("greet", "hello").await;
    model.otherwise(Reply::hang());
    let id = ledger.submit(spec("greet", &[])).await;
    model.wait_for_calls(1).await;
    let path = format!("/v1/executions/{id}/events");
    let addr = ledger.http.trim_start_matches("http://");
    let mut callers = Vec::new();
    for _ in 0..connections {
        let mut caller = match http2 {
            true => HttpCaller::http2(addr, &ledger.key).await?,
            false => HttpCaller::http1(addr, &ledger.key).await?,
        };
        // Opens the connection before the first measurement, since it has a cost of its own.
        caller.get("/health").await?;
        callers.push(caller);
    }
    let before = resident_mib(ledger.pid())?;
    let mut held = Vec::with_capacity(streams);
    for number in 0..streams {
        let mut stream = SseReader::new(callers[number % connections].open("GET", &path, "").await?);
        // The snapshot, and the two changes.
        for _ in 0..3 {
            stream.next().await?;
        }
        held.push(stream);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = resident_mib(ledger.pid())?;
    println!("{streams} streams over {connections} connections of {what}");
    println!(
        "  memory per open stream         {:8.2} KB     (aim 6; {before:.1} to {after:.1} MiB)",
        (after - before) * 1_024.0 / f64::from(u32::try_from(streams)?)
    );
    Ok(())
}
