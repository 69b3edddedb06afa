//! How fast the embedded backend is: whole executions (start, finish) per second, and the processor's time for each, at
//! 1, 16 and 64 callers, with ordinary texts and with the longest.
//!
//! `cargo run --release -p prompt-ledger-store --example sqlite_load -- [SECONDS]`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure ends the measurement")]
#![allow(clippy::print_stdout, reason = "it is what this program is for")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prompt_ledger_domain::execution::{FinishReason, Input, Params, Status};
use prompt_ledger_domain::ids::{ClaimId, ExecutionId, ProjectId, PromptId, VersionId};
use prompt_ledger_domain::model::{ModelRef, Usage};
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::versioning::checksum;
use prompt_ledger_store::sqlite::Sqlite;
use prompt_ledger_store::{
    Access, Ended, ExecutionKey, Executions, Fence, Finish, Holder, NewExecution, PutPrompt, Recorded, Registry, Store,
};
use uuid::Uuid;

/// A new identity; later ones are greater, as in the product.
fn id() -> Uuid {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let millis = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let low = NEXT.fetch_add(1, Ordering::Relaxed) | (u64::from(std::process::id()) << 32);
    Uuid::from_u128((millis << 80) | (7 << 76) | (2 << 62) | u128::from(low & (u64::MAX >> 2)))
}

/// What one execution carries.
#[derive(Clone)]
struct Example {
    new: NewExecution,
    response: String,
}

#[tokio::main]
async fn main() {
    let seconds = std::env::args().nth(1).map_or(5, |text| text.parse().expect("SECONDS is a number"));
    let length = Duration::from_secs(seconds);
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(Sqlite::open(&directory.path().join("ledger.db")).await.unwrap());
    let short = example(&store).await;
    let long = Example {
        new: NewExecution { input: Input::Prompt("\"prompt\"\n".repeat(20 * 1_024)), ..short.new.clone() },
        response: "\"answer\"\n".repeat(50 * 1_024),
    };
    measure("warm-up", 16, Duration::from_secs(1), &store, &short).await;
    for callers in [1, 16, 64] {
        measure("short texts", callers, length, &store, &short).await;
    }
    for callers in [1, 16] {
        measure("long texts", callers, length.min(Duration::from_secs(3)), &store, &long).await;
    }
    store.close().await;
}

async fn measure(name: &str, callers: usize, length: Duration, store: &Arc<Sqlite>, example: &Example) {
    let (begun, used) = (Instant::now(), processor());
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (store, example) = (Arc::clone(store), example.clone());
            tokio::spawn(async move {
                let mut took = Vec::new();
                while begun.elapsed() < length {
                    let one = Instant::now();
                    run(&store, &example).await;
                    took.push(one.elapsed());
                }
                took
            })
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.unwrap());
    }
    let elapsed = begun.elapsed();
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1_000.0;
    let count = u32::try_from(took.len()).unwrap();
    let rate = f64::from(count) / elapsed.as_secs_f64();
    let each = used.zip(processor()).map(|(before, after)| (after - before).as_secs_f64() * 1_000.0 / f64::from(count));
    let each = each.map_or_else(String::new, |each| format!("; {each:.3} ms of processor each"));
    println!("{name}: {rate:.0}/s at {callers}; p50 {:.2} ms, p99 {:.2} ms{each}", at(50), at(99));
}

/// The processor's time that this process has used, where the system tells.
fn processor() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name, which may hold anything: user and system time are the 12th and 13th, in hundredths of a second.
    let fields: Vec<_> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

/// One whole execution.
async fn run(store: &Sqlite, example: &Example) {
    let key = Some(ExecutionKey { key: id().to_string(), request_hash: [7; 32] });
    let new = NewExecution { id: ExecutionId(id()), key, ..example.new.clone() };
    let fence = Fence { id: new.id, attempt: 1 };
    let holder = Holder { worker: "server-1".into(), claim_id: ClaimId(id()), lease: Duration::from_secs(30) };
    assert!(matches!(store.start(new, holder).await.unwrap(), Recorded::New(_)));
    let usage = Usage { prompt_tokens: Some(200), cached_tokens: Some(0), response_tokens: Some(100) };
    let ended = Ended {
        provider_request_id: "req-1".into(),
        usage,
        latency: Some(Duration::from_millis(700)),
        ..Ended::default()
    };
    let finish = Finish {
        status: Status::Succeeded,
        ended,
        response: example.response.clone(),
        response_truncated: false,
        finish_reason: Some(FinishReason::Stop),
        failure: None,
        cost_nano_usd: Some(90_000),
    };
    assert!(store.finish(fence, finish).await.unwrap().is_some());
}

/// An execution of a fresh prompt, of an ordinary size.
async fn example(store: &Sqlite) -> Example {
    let project: ProjectId = store.project("default").await.unwrap().unwrap().id;
    let template = "Answer {{user.name}}";
    let put = PutPrompt {
        name: "greet".into(),
        template_source: template.into(),
        checksum: checksum(template),
        variables: vec!["user.name".into()],
        description: None,
        owner_team: None,
        tags: None,
        created_by: "ada".into(),
        set_active: true,
        create_only: false,
        etag: None,
        prompt_id: PromptId(id()),
        version_id: VersionId(id()),
    };
    let put = store.put_prompt(project, put).await.unwrap();
    let new = NewExecution {
        id: ExecutionId(id()),
        project_id: project,
        prompt_id: put.prompt.id,
        version_id: put.version.id,
        prompt_mode: Mode::Full,
        must_be_active: true,
        environment: "prod".into(),
        input: Input::Prompt("A sentence of a prompt. ".repeat(32)),
        prompt_truncated: false,
        variables: "{\"user\":{\"name\":\"Ada\"}}".into(),
        model: ModelRef { provider: "echo".into(), model: "echo".into() },
        price_id: None,
        params: Params { temperature: Some(0.1), ..Params::default() },
        correlation_id: "c-1".into(),
        key: None,
        timeout: Duration::from_secs(120),
        expire_after: None,
        max_retries: 0,
        stream_text: false,
    };
    Example { new, response: "A sentence of an answer. ".repeat(16) }
}
