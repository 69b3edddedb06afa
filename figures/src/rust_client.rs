//! The Rust client beside its bare stub, as a process of its own.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prompt_ledger_client::Client;
use prompt_ledger_proto::v1;
use serde_json::{Value, json};
use tokio::time::Instant;
use xtask::CommandOutcome;

use super::load::{Times, closed_loop, median};
use super::main_job::resident_mib;
use super::release::FigureError;

const CALLERS: usize = 8;
/// Layer and stub take turns this often.
const TURNS: u32 = 10;
const PROMPTS: usize = 10_000;

fn name(number: usize) -> String {
    format!("figures-{number:05}")
}

/// Prints what was measured as one line of JSON, as the programs of the other languages do. `seconds`: of each measurement.
pub(super) async fn run(began: Instant, seconds: u32) -> CommandOutcome {
    let found = measure(began, seconds).await.map_err(|error| error.to_string())?;
    println!("{found}");
    Ok(ExitCode::SUCCESS)
}

async fn measure(began: Instant, seconds: u32) -> Result<Value, FigureError> {
    let client = Client::from_environment()?;
    client.prompts().get(name(0)).await?;
    let start = began.elapsed().as_secs_f64() * 1_000.0;
    let turn = Duration::from_secs(seconds.into()) / TURNS;
    let mut rows = Vec::new();
    for call in ["prompts.get", "submit"] {
        let (mut layer, mut stub) = (Turns::default(), Turns::default());
        for _ in 0..TURNS {
            layer.add(&by_layer(&client, call, turn).await?);
            stub.add(&by_stub(&client, call, turn).await?);
        }
        rows.extend([layer.row(call, "layer"), stub.row(call, "stub")]);
    }
    let before = resident_mib(std::process::id())?;
    let cache = client.prompt_cache(vec![], "figures-");
    cache.synced().await?;
    let after = resident_mib(std::process::id())?;
    let names: Vec<String> = (0..PROMPTS).map(name).collect();
    let (mut times, began) = (Times::new()?, Instant::now());
    while began.elapsed() < turn {
        for name in &names {
            let read = Instant::now();
            cache.get(name, None).ok_or("the cache lacks a prompt")?;
            times.record(read.elapsed());
        }
    }
    times.elapsed = began.elapsed();
    let mut read = Turns::default();
    read.add(&times);
    rows.push(read.row("cache.get", "layer"));
    Ok(json!({"start_ms": start, "rows": rows, "cache_bytes": (after - before) * 1_048_576.0}))
}

/// What the turns of one side had.
#[derive(Default)]
struct Turns {
    rate: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Turns {
    fn add(&mut self, times: &Times) {
        self.rate.push(times.rate());
        self.p50.push(times.quantile(0.5) * 1_000.0);
        self.p99.push(times.quantile(0.99) * 1_000.0);
    }

    /// Medians of the turns.
    fn row(self, call: &str, by: &str) -> Value {
        let (per_second, p50, p99) = (median(self.rate), median(self.p50), median(self.p99));
        json!({"call": call, "by": by, "per_second": per_second, "p50_us": p50, "p99_us": p99})
    }
}

fn spec() -> v1::ExecutionSpec {
    let model = v1::ModelRef { provider: "echo".into(), model_name: "echo".into() };
    v1::ExecutionSpec { prompt_name: name(0), model: Some(model), ..v1::ExecutionSpec::default() }
}

async fn by_layer(client: &Client, call: &str, turn: Duration) -> Result<Times, FigureError> {
    let client = client.clone();
    if call == "submit" {
        return closed_loop(CALLERS, turn, move |_| {
            let client = client.clone();
            async move { client.submit(spec()).await.map(drop) }
        })
        .await;
    }
    closed_loop(CALLERS, turn, move |_| {
        let client = client.clone();
        async move { client.prompts().get(name(0)).await.map(drop) }
    })
    .await
}

async fn by_stub(client: &Client, call: &str, turn: Duration) -> Result<Times, FigureError> {
    let client = client.clone();
    if call == "submit" {
        let (turn_id, calls) = (prompt_ledger_testkit::services::unique(), Arc::new(AtomicU64::new(0)));
        return closed_loop(CALLERS, turn, move |_| {
            let mut executions = client.executions();
            let call = calls.fetch_add(1, Ordering::Relaxed);
            async move {
                let idempotency_key = format!("{turn_id:016x}-{call:019x}");
                let spec = v1::ExecutionSpec { idempotency_key, ..spec() };
                executions.submit_execution(v1::SubmitExecutionRequest { spec: Some(spec) }).await.map(drop)
            }
        })
        .await;
    }
    closed_loop(CALLERS, turn, move |_| {
        let mut registry = client.registry();
        async move {
            let request = v1::GetPromptRequest { name: name(0), min_revision: None };
            registry.get_prompt(request).await.map(drop)
        }
    })
    .await
}
