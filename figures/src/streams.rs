//! Watching: what it adds to the model's own time, what an idle watcher costs, how many messages per second reach
//! watchers, and what a stalled one does to the others. One server and one worker on the real services.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use prompt_ledger_domain::capabilities::ModelRequest;
use prompt_ledger_domain::execution::{CallTimeout, Input, Params};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_event::Kind;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_providers::{Call, Endpoint, Provider, TextSink};
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{Connection, Ledger, Metadata, spec};
use prompt_ledger_testkit::process::Process;
use prompt_ledger_testkit::services::{self, Database, Postgres, Rabbit, Redis};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::transport::Endpoint as Dial;
use tonic::{Status, Streaming};

use super::load::Times;
use super::main_job::resident_mib;
use super::many_streams;
use super::release::{FigureError, migrated, release_binaries, subject};
use super::words::{Ages, Relay, ages};
use xtask::{CommandOutcome, install};

pub(super) type ExecutionClient = ExecutionServiceClient<Connection>;

/// Longer than text is coalesced, so that each word is a message of its own.
const PACE: Duration = Duration::from_millis(40);
const WORDS: usize = 50;
const TEXTS: usize = 20;
const ROUNDS: usize = 200;
const CONNECTIONS: usize = 100;
const WATCHERS: usize = 10_000;
const CROWD: usize = 1_000;
const CROWD_CONNECTIONS: usize = 10;

pub(super) async fn run() -> CommandOutcome {
    measure().await.map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

struct StreamsDeployment {
    server: Ledger,
    worker: Process,
    _database: Database,
    model: FakeModel,
}

async fn measure() -> Result<(), FigureError> {
    install::services().map_err(|error| error.to_string())?;
    let binaries = release_binaries(&["prompt-ledger-server", "prompt-ledger-worker"])?;
    embedded(&binaries).await?;
    let (postgres, redis, rabbit) = tokio::join!(Postgres::start(), Redis::start(), Rabbit::start());
    let deployment = deploy(&binaries, &postgres, &redis.url(), &rabbit.url()).await?;
    submitted(&deployment).await?;
    let relay = Relay::open(&redis.url()).await?;
    written(&deployment.server, &deployment.model, "Postgres, Redis", Some(relay)).await?;
    many_streams::run(&deployment.server, Some(deployment.worker.pid()), &deployment.model, "Postgres, Redis").await?;
    held(&deployment).await?;
    stalled(&deployment).await
}

/// Text within one process, without brokers.
async fn embedded(binaries: &Path) -> Result<(), FigureError> {
    let model = FakeModel::start().await;
    let server = subject(binaries.join("prompt-ledger"))
        .openai(&model.base_url())
        .env("LOG", "warn")
        .env("WORKER_CONCURRENCY", "512")
        .start()
        .await;
    server.active("greet", "hello").await;
    written(&server, &model, "dev", None).await?;
    many_streams::run(&server, None, &model, "dev").await
}

async fn deploy(
    binaries: &Path,
    postgres: &Postgres,
    redis: &str,
    amqp: &str,
) -> Result<StreamsDeployment, FigureError> {
    let (database, model) = (services::database_on(&postgres.url()), FakeModel::start().await);
    let configured = |name: &str| {
        let builder = subject(binaries.join(name)).env("DATABASE_URL", database.url()).env("REDIS_URL", redis);
        let builder = builder.env("AMQP_URL", amqp).env("DEFAULT_MODEL", "openai/gpt-4o-mini");
        let builder = builder.env("MAX_WATCHERS_PER_KEY", "20000").env("WORKER_CONCURRENCY", "512");
        builder.env("LOG", "warn,prompt_ledger_worker::process=info").openai(&model.base_url())
    };
    let builder = configured("prompt-ledger").serving();
    migrated(&builder)?;
    let server = builder.start().await;
    let worker = configured("prompt-ledger-worker").start_worker().await;
    server.active("greet", "hello").await;
    Ok(StreamsDeployment { server, worker, _database: database, model })
}

/// A connection whose windows fit this many watches.
async fn connect(server: &Ledger, watches: usize) -> Result<ExecutionClient, FigureError> {
    let window = 64 * 1024;
    let dial = Dial::from_shared(format!("http://{}", server.addr))?.tcp_nodelay(true);
    let dial = dial.initial_stream_window_size(window);
    let dial = dial.initial_connection_window_size(window * u32::try_from(watches)?);
    Ok(ExecutionServiceClient::with_interceptor(dial.connect().await?, Metadata::key(&server.key)))
}

pub(super) async fn connections(
    server: &Ledger,
    count: usize,
    watches: usize,
) -> Result<Vec<ExecutionClient>, FigureError> {
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        clients.push(connect(server, watches).await?);
    }
    Ok(clients)
}

pub(super) fn told() -> v1::ExecutionSpec {
    v1::ExecutionSpec { stream_text: Some(true), ..spec("greet", &[]) }
}

pub(super) async fn submit(client: &mut ExecutionClient, spec: v1::ExecutionSpec) -> Result<String, Status> {
    let request = v1::SubmitExecutionRequest { spec: Some(spec) };
    Ok(client.submit_execution(request).await?.into_inner().execution_id)
}

pub(super) async fn watch(
    client: &mut ExecutionClient,
    id: &str,
) -> Result<Streaming<v1::WatchExecutionResponse>, Status> {
    let request = v1::WatchExecutionRequest { execution_id: id.to_owned(), after_sequence: 0 };
    Ok(client.watch_execution(request).await?.into_inner())
}

/// A client that calls the model directly.
pub(super) fn provider(model: &FakeModel) -> Result<OpenAi, FigureError> {
    let base_url = Some(model.base_url().parse()?);
    Ok(OpenAi::new(Endpoint { base_url, ..Endpoint::default() })?)
}

pub(super) async fn call(provider: &OpenAi, sink: Option<&mut dyn TextSink>) -> Result<(), FigureError> {
    let (input, params) = (Input::Prompt("hello".into()), Params::default());
    let call = Call {
        model: "gpt-4o-mini",
        request: ModelRequest::plain(&input, &params),
        timeout: CallTimeout::asked(Duration::from_secs(60)),
        whole: false,
        trace: None,
    };
    provider.call(call, sink).await.map_err(|error| error.message)?;
    Ok(())
}

/// The time from a submit to the first and to the terminal event, beyond the model's own time.
async fn submitted(deployment: &StreamsDeployment) -> Result<(), FigureError> {
    let delay = Duration::from_millis(20);
    deployment.model.otherwise(Reply::answer("hi").delay(delay));
    let (provider, mut client) = (provider(&deployment.model)?, connect(&deployment.server, 100).await?);
    let (mut alone, mut first, mut last) = (Times::new()?, Times::new()?, Times::new()?);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        call(&provider, None).await?;
        alone.record(began.elapsed());
        let began = Instant::now();
        let id = submit(&mut client, spec("greet", &[])).await?;
        let mut stream = watch(&mut client, &id).await?;
        while let Some(message) = stream.message().await? {
            match message.event {
                Some(event) if event.sequence == 1 => first.record(began.elapsed()),
                Some(event) if event.terminal => last.record(began.elapsed()),
                _ => {}
            }
        }
    }
    println!("submit, then watch; a model of 20 ms");
    println!("  to the first event             {:8.2} ms     p99 {:.2} ms", first.quantile(0.5), first.quantile(0.99));
    println!("  the model alone                {:8.2} ms     p99 {:.2} ms", alone.quantile(0.5), alone.quantile(0.99));
    println!(
        "  to the terminal event, added   {:8.2} ms     p99 {:.2} ms",
        last.quantile(0.5) - alone.quantile(0.5),
        last.quantile(0.99) - alone.quantile(0.99)
    );
    Ok(())
}

/// The age of the first word, and how much longer the gaps between words are than the model's, for each way of
/// watching.
async fn written(server: &Ledger, model: &FakeModel, on: &str, mut relay: Option<Relay>) -> Result<(), FigureError> {
    model.otherwise(Reply::clock(WORDS, PACE));
    let (provider, mut client) = (provider(model)?, connect(server, 100).await?);
    let (mut alone, mut streamed, mut watched) = (Ages::new()?, Ages::new()?, Ages::new()?);
    for _ in 0..TEXTS {
        alone.begins();
        call(&provider, Some(&mut alone)).await?;
        if let Some(relay) = &mut relay {
            let provider = &provider;
            relay.read(WORDS, async |mut sink| call(provider, Some(&mut sink)).await).await?;
        }
        streamed.begins();
        let request = v1::StreamExecutionRequest { spec: Some(spec("greet", &[])) };
        let mut stream = client.stream_execution(request).await?.into_inner();
        while let Some(message) = stream.message().await? {
            if let Some(Kind::TextDelta(delta)) = message.event.and_then(|event| event.kind) {
                streamed.add(&delta.text);
            }
        }
        watched.begins();
        let id = submit(&mut client, told()).await?;
        let mut stream = watch(&mut client, &id).await?;
        while let Some(message) = stream.message().await? {
            if let Some(Kind::TextDelta(delta)) = message.event.and_then(|event| event.kind) {
                watched.add(&delta.text);
            }
        }
    }
    println!("text on {on}, a word every {} ms: from the model's sending it", PACE.as_millis());
    alone.say("the model alone, first word", None);
    if let Some(relay) = &relay {
        relay.ages.say("through Redis alone, added", Some(&alone));
    }
    streamed.say("StreamExecution, added", Some(&alone));
    watched.say("submitted and watched, added", Some(&alone));
    println!("    aims at p99                  first word 1 ms, gap per frame 0.1 ms");
    Ok(())
}

/// Watchers that count their messages.
struct Crowd {
    counted: Arc<AtomicU64>,
    watching: Vec<JoinHandle<Result<(), Status>>>,
}

impl Crowd {
    /// Distributes watchers over these executions and connections.
    async fn of(clients: &[ExecutionClient], ids: &[String], count: usize) -> Result<Self, FigureError> {
        let counted = Arc::<AtomicU64>::default();
        let mut watching = Vec::with_capacity(count);
        for number in 0..count {
            let mut client = clients[number % clients.len()].clone();
            let mut stream = watch(&mut client, &ids[number % ids.len()]).await?;
            // Waits for the snapshot.
            stream.message().await?;
            let counted = Arc::clone(&counted);
            watching.push(tokio::spawn(async move {
                while stream.message().await?.is_some() {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }));
        }
        Ok(Self { counted, watching })
    }

    async fn ended(self) -> Result<(), FigureError> {
        for watcher in self.watching {
            watcher.await??;
        }
        Ok(())
    }
}

/// Memory per watcher, and deliveries per second, with 10,000 watchers over 100 connections.
async fn held(deployment: &StreamsDeployment) -> Result<(), FigureError> {
    const EXECUTIONS: usize = 100;
    const TEXT: Duration = Duration::from_secs(5);
    let gate = Gate::new();
    // Faster than watchers can be sent single words.
    let words = usize::try_from(TEXT.as_millis() / 25)?;
    deployment.model.otherwise(Reply::clock(words, Duration::from_millis(25)).held(&gate));
    let clients = connections(&deployment.server, CONNECTIONS, WATCHERS / CONNECTIONS).await?;
    let calls = deployment.model.calls();
    let mut ids = Vec::new();
    for _ in 0..EXECUTIONS {
        ids.push(submit(&mut clients[0].clone(), told()).await?);
    }
    deployment.model.wait_for_calls(calls + EXECUTIONS).await;
    // Opens each connection before the first measurement, since it has a cost of its own.
    for client in &clients {
        submit(&mut client.clone(), spec("unknown", &[])).await.err().ok_or("an unknown prompt was executed")?;
    }
    let before = resident_mib(deployment.server.pid())?;
    let crowd = Crowd::of(&clients, &ids, WATCHERS).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = resident_mib(deployment.server.pid())?;
    println!("{WATCHERS} watchers of {EXECUTIONS} executions over {CONNECTIONS} connections");
    println!(
        "  memory per held watcher        {:8.2} KB     (aim 5; {before:.1} to {after:.1} MiB)",
        (after - before) * 1_024.0 / 10_000.0
    );
    let (began, counted) = (Instant::now(), crowd.counted.load(Ordering::Relaxed));
    gate.open();
    tokio::time::sleep(TEXT).await;
    let rate = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / began.elapsed().as_secs_f64();
    println!(
        "  deliveries                     {:8.0} /s     (aim 100000)",
        rate(crowd.counted.load(Ordering::Relaxed) - counted)
    );
    crowd.ended().await
}

/// The age of words at 1,000 watchers of one execution, without and with one more that does not read.
async fn stalled(deployment: &StreamsDeployment) -> Result<(), FigureError> {
    println!("{CROWD} watchers of one execution, a word every {} ms", PACE.as_millis());
    let clients = connections(&deployment.server, CROWD_CONNECTIONS, CROWD / CROWD_CONNECTIONS).await?;
    let mut p99 = Vec::new();
    for stalls in [false, true, false, true] {
        let gate = Gate::new();
        deployment.model.otherwise(Reply::clock(100, PACE).held(&gate));
        let id = submit(&mut clients[0].clone(), told()).await?;
        let mut silent = connect(&deployment.server, 1).await?;
        let unread = if stalls { Some(watch(&mut silent, &id).await?) } else { None };
        let ready = Arc::new(AtomicBool::new(false));
        let mut watching = Vec::new();
        for number in 0..CROWD {
            let mut client = clients[number % clients.len()].clone();
            let mut stream = watch(&mut client, &id).await?;
            let ready = Arc::clone(&ready);
            watching.push(tokio::spawn(async move {
                let mut times = Times::new().map_err(|error| Status::internal(error.to_string()))?;
                while let Some(message) = stream.message().await? {
                    if let Some(Kind::TextDelta(delta)) = message.event.and_then(|event| event.kind)
                        && ready.load(Ordering::Relaxed)
                    {
                        ages(&delta.text).for_each(|age| times.record(age));
                    }
                }
                Ok::<_, Status>(times)
            }));
        }
        ready.store(true, Ordering::Relaxed);
        gate.open();
        let mut all = Times::new()?;
        for watcher in watching {
            all.add(watcher.await??)?;
        }
        let name = if stalls { "with one that does not read" } else { "all read" };
        println!("  {name:<30} {:8.2} ms     p99 {:.2} ms", all.quantile(0.5), all.quantile(0.99));
        p99.push(all.quantile(0.99));
        drop(unread);
    }
    if let [a, b, c, d] = p99[..] {
        println!("  p99 with it over without it    {:8.2}        (aim 1.10)", (b + d) / (a + c));
    }
    Ok(())
}
