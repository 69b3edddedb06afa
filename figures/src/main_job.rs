//! The embedded default (`dev`) on this machine.

use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prompt_ledger_domain::capabilities::ModelRequest;
use prompt_ledger_domain::execution::{CallTimeout, Input, Params};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::analytics_service_client::AnalyticsServiceClient;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_providers::{Call, Endpoint, Provider};
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use prompt_ledger_testkit::ledger::{Connection, DEVELOPMENT_KEY, Metadata, spec};
use prost::Message as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint as Address};

use super::load::{Times, closed_loop, median};
use super::release::{FigureError, release_binaries, subject};
use super::{contents, disk};
use xtask::CommandOutcome;

/// Rounds per pair; medians are reported.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
/// A single HTTP/2 connection would be limited by its lock.
pub(super) const CONNECTIONS: usize = 4;
const CALLERS: usize = 64;

pub(super) async fn run() -> CommandOutcome {
    measure().await.map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

async fn measure() -> Result<(), FigureError> {
    let binary = release_binaries(&["prompt-ledger-server"])?.join("prompt-ledger");

    let mib = f64::from(u32::try_from(std::fs::metadata(&binary)?.len())?) / 1_048_576.0;
    println!("binary, stripped                 {mib:8.1} MiB    (aim 25)");
    start(&binary).await?;
    get_prompt(&binary).await?;
    run_execution(&binary).await?;
    contents::run(&binary).await
}

/// Time from a cold start to the first answered RPC, and memory when idle.
async fn start(binary: &Path) -> Result<(), FigureError> {
    for (what, reuse) in [("first start, empty folder", false), ("start, existing folder", true)] {
        let (mut taken, mut memory) = (Vec::new(), Vec::new());
        let folder = tempfile::tempdir()?;
        if reuse {
            subject(binary).data_dir(folder.path()).start().await.terminate().await;
        }
        for _ in 0..2 * ROUNDS + 1 {
            let fresh = tempfile::tempdir()?;
            let began = Instant::now();
            let kept = if reuse { folder.path() } else { fresh.path() };
            let ledger = subject(binary).data_dir(kept).start().await;
            ledger.registry().list_models(v1::ListModelsRequest::default()).await?;
            taken.push(began.elapsed().as_secs_f64() * 1_000.0);
            memory.push(resident_mib(ledger.pid())?);
            ledger.terminate().await;
        }
        println!("{what:32} {:8.1} ms     (aim 50)", median(taken));
        println!("  memory, idle                   {:8.1} MiB    (aim 20)", median(memory));
    }
    Ok(())
}

/// Resident memory of a process, in MiB.
pub(super) fn resident_mib(pid: u32) -> Result<f64, FigureError> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}

/// GetPrompt beside a bare tonic echo with responses of the same size.
async fn get_prompt(binary: &Path) -> Result<(), FigureError> {
    let ledger = subject(binary).start().await;
    ledger.active("greet", "Say hello to {{name}}, who has asked: {{question}}").await;
    let request = v1::GetPromptRequest { name: "greet".into(), min_revision: None };
    let size = ledger.registry().get_prompt(request.clone()).await?.into_inner().encoded_len();
    let mut echo = tokio::process::Command::new(std::env::current_exe()?)
        .args(["echo-server", &size.to_string()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = echo.stdout.take().ok_or("the echo has no output")?;
    let addr = BufReader::new(stdout).lines().next_line().await?.ok_or("the echo did not start")?;

    let registries: Arc<[_]> =
        connections(&ledger.addr, &ledger.key).await?.into_iter().map(RegistryServiceClient::new).collect();
    let echoes: Arc<[_]> =
        connections(&addr, DEVELOPMENT_KEY).await?.into_iter().map(AnalyticsServiceClient::new).collect();
    let echoed = v1::QueryUsageRequest { page_token: "greet".into(), ..v1::QueryUsageRequest::default() };
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (clients, request) = (Arc::clone(&registries), request.clone());
        ours.push(
            closed_loop(CALLERS, ROUND, move |caller| {
                let (mut client, request) = (clients[caller % CONNECTIONS].clone(), request.clone());
                async move { client.get_prompt(request).await.map(|_| ()) }
            })
            .await?,
        );
        let (clients, request) = (Arc::clone(&echoes), echoed.clone());
        bare.push(
            closed_loop(CALLERS, ROUND, move |caller| {
                let (mut client, request) = (clients[caller % CONNECTIONS].clone(), request.clone());
                async move { client.query_usage(request).await.map(|_| ()) }
            })
            .await?,
        );
    }
    let rate = |of: &[Times]| median(of.iter().map(Times::rate).collect());
    println!("GetPrompt, {CALLERS} callers            {:8.0} /s     p99 {:.2} ms", rate(&ours), at(&ours, 0.99));
    println!("bare tonic echo, {CALLERS} callers      {:8.0} /s     p99 {:.2} ms", rate(&bare), at(&bare, 0.99));
    println!("  ratio                          {:8.2}        (aim 0.5)", rate(&ours) / rate(&bare));
    Ok(())
}

/// What RunExecution adds to a direct call of the model.
async fn run_execution(binary: &Path) -> Result<(), FigureError> {
    let model = FakeModel::start().await;
    let base_url = model.base_url();
    let ledger = subject(binary).openai(&base_url).env("LOG", "warn").start().await;
    ledger.active("greet", "Say hello to {{name}}.").await;
    let provider: Arc<dyn Provider> =
        Arc::new(OpenAi::new(Endpoint { base_url: Some(base_url.parse()?), ..Endpoint::default() })?);
    for (callers, millis) in [(1, 0), (16, 0), (16, 20)] {
        model.otherwise(Reply::echo().delay(Duration::from_millis(millis)));
        println!("{callers} callers, a model of {millis} ms");
        let clients: Arc<[_]> =
            connections(&ledger.addr, &ledger.key).await?.into_iter().map(ExecutionServiceClient::new).collect();
        let (mut direct, mut through, mut disk) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            disk.push(disk::fdatasync(ledger.data_dir(), 300, Duration::ZERO)?);
            let provider = Arc::clone(&provider);
            direct.push(closed_loop(callers, ROUND, move |_| call(Arc::clone(&provider))).await?);
            let clients = Arc::clone(&clients);
            through.push(
                closed_loop(callers, ROUND, move |caller| {
                    let mut client = clients[caller % CONNECTIONS].clone();
                    let request = v1::RunExecutionRequest { spec: Some(spec("greet", &[("name", "Ada")])) };
                    async move { client.run_execution(request).await.map(|_| ()) }
                })
                .await?,
            );
        }
        let added = |quantile| at(&through, quantile) - at(&direct, quantile);
        let rate = median(through.iter().map(Times::rate).collect());
        let f = at(&disk, 0.5);
        println!("  fdatasync (F)                  {f:8.2} ms     p99 {:.2} ms", at(&disk, 0.99));
        println!("  the model alone                {:8.2} ms     p99 {:.2} ms", at(&direct, 0.5), at(&direct, 0.99));
        println!(
            "  RunExecution                   {:8.2} ms     p99 {:.2} ms, {rate:.0} /s",
            at(&through, 0.5),
            at(&through, 0.99)
        );
        println!(
            "  added                          {:8.2} ms     p99 {:.2} ms (aim at p50 2F + 1 = {:.2})",
            added(0.5),
            added(0.99),
            2.0 * f + 1.0
        );
    }
    Ok(())
}

/// A direct call of the model, with the client that the server uses.
pub(super) async fn call(provider: Arc<dyn Provider>) -> Result<(), FigureError> {
    let (input, params) = (Input::Prompt("Say hello to Ada.".into()), Params::default());
    let call = Call {
        model: "gpt-4o-mini",
        request: ModelRequest::plain(&input, &params),
        timeout: CallTimeout::asked(Duration::from_secs(9)),
        whole: false,
        trace: None,
    };
    provider.call(call, None).await.map_err(|error| error.message)?;
    Ok(())
}

/// The median over the rounds, in milliseconds.
pub(super) fn at(rounds: &[Times], quantile: f64) -> f64 {
    median(rounds.iter().map(|times| times.quantile(quantile)).collect())
}

pub(super) async fn connections(addr: &str, key: &str) -> Result<Vec<Connection>, FigureError> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let channel: Channel = Address::from_shared(format!("http://{addr}"))?.tcp_nodelay(true).connect().await?;
        connections.push(InterceptedService::new(channel, Metadata::key(key)));
    }
    Ok(connections)
}
