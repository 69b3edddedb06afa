//! Watching prompts: what an idle watcher costs, how long a change takes to a thousand of them, with the bus and without it,
//! and from one server to its use on another, and what a cached prompt takes in a client. Two servers on the real services.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use prompt_ledger_client::{Client, Options};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_proto::v1::watch_prompts_response::Kind;
use prompt_ledger_testkit::ledger::{Connection, Ledger, Metadata, put};
use prompt_ledger_testkit::services::{self, Database, Postgres, Rabbit, Redis};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Endpoint as Dial;
use tonic::{Status, Streaming};

use super::load::Times;
use super::main_job::resident_mib;
use super::release::{FigureError, migrated, release_binaries, subject};
use xtask::{CommandOutcome, install};

type PromptsClient = RegistryServiceClient<Connection>;
type PromptStream = Streaming<v1::WatchPromptsResponse>;

const PROMPTS: usize = 1_000;
const CACHED: usize = 10_000;
/// Of each prompt's text.
const TEXT_BYTES: usize = 1_000;
const CONNECTIONS: usize = 100;
const WATCHERS: usize = 10_000;
const CROWD: usize = 1_000;
const CROWD_CONNECTIONS: usize = 10;
const ROUNDS: usize = 50;
const ACTIVATIONS: usize = 500;
/// Far longer than a change takes.
const LOST: Duration = Duration::from_secs(30);

pub(super) async fn run() -> CommandOutcome {
    measure().await.map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

struct FeedDeployment {
    one: Ledger,
    two: Ledger,
    _database: Database,
}

async fn measure() -> Result<(), FigureError> {
    install::services().map_err(|error| error.to_string())?;
    let binaries = release_binaries(&["prompt-ledger-server"])?;
    let (postgres, redis, rabbit) = tokio::join!(Postgres::start(), Redis::start(), Rabbit::start());
    let with_bus = deploy(&binaries, &postgres, &redis.url(), &rabbit.url()).await?;
    held(&with_bus).await?;
    told(&with_bus, "with the bus", "50 ms").await?;
    used(&with_bus).await?;
    cached(&with_bus).await?;
    drop(with_bus);
    let without = deploy(&binaries, &postgres, "redis://127.0.0.1:1", "").await?;
    told(&without, "without the bus", "1200 ms").await
}

/// Two servers, and 1,000 prompts of two versions each.
async fn deploy(binaries: &Path, postgres: &Postgres, redis: &str, amqp: &str) -> Result<FeedDeployment, FigureError> {
    let database = services::database_on(&postgres.url());
    let configured = || {
        let builder = subject(binaries.join("prompt-ledger")).env("DATABASE_URL", database.url());
        let builder = builder.env("REDIS_URL", redis).env("AMQP_URL", amqp).env("MAX_WATCHERS_PER_KEY", "20000");
        builder.env("LOG", "warn").serving()
    };
    migrated(&configured())?;
    let (one, two) = tokio::join!(configured().start(), configured().start());
    fill(&one, 0, PROMPTS).await?;
    Ok(FeedDeployment { one, two, _database: database })
}

fn name(number: usize) -> String {
    format!("prompt-{number:05}")
}

/// Writes prompts of two versions, the first one active.
async fn fill(server: &Ledger, from: usize, to: usize) -> Result<(), FigureError> {
    let mut registry = server.registry();
    for number in from..to {
        for version in ["b", "a"] {
            let text = format!("{version}{}", "x".repeat(TEXT_BYTES - 1));
            registry.put_prompt(v1::PutPromptRequest { set_active: true, ..put(&name(number), &text) }).await?;
        }
    }
    Ok(())
}

/// A connection whose windows fit this many watches.
async fn connect(server: &Ledger, watches: usize) -> Result<PromptsClient, FigureError> {
    let window = 64 * 1024;
    let dial = Dial::from_shared(format!("http://{}", server.addr))?.tcp_nodelay(true);
    let dial = dial.initial_stream_window_size(window);
    let dial = dial.initial_connection_window_size(window * u32::try_from(watches)?);
    Ok(RegistryServiceClient::with_interceptor(dial.connect().await?, Metadata::key(&server.key)))
}

/// A watch of all prompts from the present revision on; all before has been told.
async fn watch(client: &mut PromptsClient) -> Result<PromptStream, FigureError> {
    let found = client.get_prompt(v1::GetPromptRequest { name: name(0), min_revision: None }).await?.into_inner();
    let request = v1::WatchPromptsRequest { after_revision: found.revision, ..v1::WatchPromptsRequest::default() };
    let mut feed = client.watch_prompts(request).await?.into_inner();
    loop {
        match feed.message().await?.and_then(|message| message.kind) {
            Some(Kind::Heartbeat(_)) => return Ok(feed),
            Some(_) => {}
            None => return Err("a watch ended".into()),
        }
    }
}

/// Memory per watcher, of 10,000 over 100 connections.
async fn held(deployment: &FeedDeployment) -> Result<(), FigureError> {
    let server = &deployment.one;
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let mut client = connect(server, WATCHERS / CONNECTIONS).await?;
        // A connection has a cost of its own.
        client.get_prompt(v1::GetPromptRequest { name: name(0), min_revision: None }).await?;
        clients.push(client);
    }
    sleep(Duration::from_secs(2)).await;
    let before = resident_mib(server.pid())?;
    let mut feeds = Vec::with_capacity(WATCHERS);
    for number in 0..WATCHERS {
        feeds.push(watch(&mut clients[number % CONNECTIONS]).await?);
    }
    sleep(Duration::from_secs(2)).await;
    let after = resident_mib(server.pid())?;
    println!("{WATCHERS} watchers of {PROMPTS} prompts over {CONNECTIONS} connections");
    println!(
        "  memory per held watcher        {:8.2} KB     (aim 5; {before:.1} to {after:.1} MiB)",
        kb_each(before, after, WATCHERS)?
    );
    drop(feeds);
    Ok(())
}

/// What each of these takes, by the MiB before and after.
fn kb_each(before: f64, after: f64, count: usize) -> Result<f64, FigureError> {
    Ok((after - before) * 1_024.0 / f64::from(u32::try_from(count)?))
}

async fn activate(registry: &mut PromptsClient, number: usize, version_number: i32) -> Result<i64, Status> {
    let name = name(number);
    let request = v1::SetActiveVersionRequest { name, version_number, ..v1::SetActiveVersionRequest::default() };
    Ok(registry.set_active_version(request).await?.into_inner().revision)
}

/// The version to activate in a round: each prompt begins with its second one.
fn other(round: usize) -> i32 {
    if round.is_multiple_of(2) { 1 } else { 2 }
}

/// The time from the beginning of a write on one server until each of 1,000 watchers of the other has it.
async fn told(deployment: &FeedDeployment, how: &str, aim: &str) -> Result<(), FigureError> {
    let (heard, mut hearing) = mpsc::unbounded_channel();
    let mut clients = Vec::with_capacity(CROWD_CONNECTIONS);
    for _ in 0..CROWD_CONNECTIONS {
        clients.push(connect(&deployment.two, CROWD / CROWD_CONNECTIONS).await?);
    }
    let mut watching = Vec::with_capacity(CROWD);
    for number in 0..CROWD {
        let mut feed = watch(&mut clients[number % CROWD_CONNECTIONS]).await?;
        let heard = heard.clone();
        watching.push(tokio::spawn(async move {
            while let Ok(Some(message)) = feed.message().await {
                if let Some(Kind::Change(_)) = message.kind {
                    heard.send((message.revision, Instant::now())).ok();
                }
            }
        }));
    }
    let (mut writer, mut times, mut last) = (connect(&deployment.one, 1).await?, Times::new()?, Times::new()?);
    for round in 0..ROUNDS {
        let began = Instant::now();
        let revision = activate(&mut writer, 7, other(round)).await?;
        let mut slowest = Duration::ZERO;
        for _ in 0..CROWD {
            let (told, at) = timeout(LOST, hearing.recv()).await?.ok_or("the watchers ended")?;
            if told != revision {
                return Err(format!("revision {told} was told instead of {revision}").into());
            }
            let took = at.duration_since(began);
            times.record(took);
            slowest = slowest.max(took);
        }
        last.record(slowest);
        sleep(Duration::from_millis(50)).await;
    }
    watching.iter().for_each(tokio::task::JoinHandle::abort);
    println!("a change on one server to {CROWD} watchers of the other, {how}");
    println!(
        "  to each                        {:8.2} ms     p99 {:.2} ms (aim {aim})",
        times.quantile(0.5),
        times.quantile(0.99)
    );
    println!("  to the last of them            {:8.2} ms     p99 {:.2} ms", last.quantile(0.5), last.quantile(0.99));
    Ok(())
}

fn client(addr: &str, key: &str) -> Result<Client, FigureError> {
    Ok(Client::connect(Options { url: format!("http://{addr}"), api_key: key.into(), ..Options::default() })?)
}

/// The time from the beginning of SetActiveVersion on one server until a call of the other one uses it, and until a client's
/// cache that the other one feeds has it.
async fn used(deployment: &FeedDeployment) -> Result<(), FigureError> {
    let (mut writer, mut reader) = (connect(&deployment.one, 1).await?, connect(&deployment.two, 1).await?);
    let cache = client(&deployment.two.addr, &deployment.two.key)?.prompt_cache(vec![], "");
    cache.synced().await?;
    let (mut calls, mut caches) = (Times::new()?, Times::new()?);
    for round in 0..ACTIVATIONS {
        let (number, version) = (round % PROMPTS, other(round / PROMPTS));
        let began = Instant::now();
        activate(&mut writer, number, version).await?;
        loop {
            let request = v1::GetPromptRequest { name: name(number), min_revision: None };
            let found = reader.get_prompt(request).await?.into_inner();
            if found.active_version.is_some_and(|active| active.version_number == version) {
                break;
            }
        }
        calls.record(began.elapsed());
    }
    for round in 0..ACTIVATIONS {
        let (number, version) = (round % PROMPTS, other(round / PROMPTS + 1));
        let began = Instant::now();
        let activated = activate(&mut writer, number, version).await?;
        timeout(LOST, cache.reached(activated)).await??;
        let found = cache.get(&name(number), None).ok_or("the cache lost a prompt")?;
        caches.record(began.elapsed());
        if found.version_number != version {
            return Err("the cache has another version than the ledger".into());
        }
    }
    println!("SetActiveVersion on one server, from the call on");
    for (to, times) in [("to its use by a call of the other", &calls), ("to a cache fed by the other", &caches)] {
        println!(
            "  {to:<34} {:4.2} ms     p99 {:.2} ms (aims 10 and 50 ms)",
            times.quantile(0.5),
            times.quantile(0.99)
        );
    }
    Ok(())
}

/// Memory per cached prompt, at 10,000, in a process that does nothing else.
async fn cached(deployment: &FeedDeployment) -> Result<(), FigureError> {
    fill(&deployment.one, PROMPTS, CACHED).await?;
    let Ledger { addr, key, .. } = &deployment.two;
    let mut process = tokio::process::Command::new(std::env::current_exe()?);
    let status = process.args(["cached-prompts", addr, key]).kill_on_drop(true).status().await?;
    if status.success() { Ok(()) } else { Err("the process with the cache failed".into()) }
}

/// That process.
pub(super) async fn cached_here(addr: &str, key: &str) -> CommandOutcome {
    held_here(addr, key).await.map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

async fn held_here(addr: &str, key: &str) -> Result<(), FigureError> {
    let client = client(addr, key)?;
    // A connection has a cost of its own.
    client.registry().get_prompt(v1::GetPromptRequest { name: name(0), min_revision: None }).await?;
    let before = resident_mib(std::process::id())?;
    let (began, cache) = (Instant::now(), client.prompt_cache(vec![], ""));
    cache.synced().await?;
    let took = began.elapsed();
    let after = resident_mib(std::process::id())?;
    println!("a client's cache of {} prompts, whose texts have {TEXT_BYTES} bytes", cache.names().len());
    println!(
        "  memory per prompt              {:8.2} KB     ({before:.1} to {after:.1} MiB)",
        kb_each(before, after, CACHED)?
    );
    println!("  until all are there            {:8.0} ms", took.as_secs_f64() * 1_000.0);
    Ok(())
}
