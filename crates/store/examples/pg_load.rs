//! How fast the ledger's production path is on a Postgres server: submits per second at so many callers, and whole
//! cycles (submit, claim, finish) per second. It makes a database of its own and drops it.
//!
//! `cargo run --release -p prompt-ledger-store --example pg_load -- postgres://postgres@127.0.0.1:5432/postgres [CALLERS]
//! [SECONDS]`

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
use prompt_ledger_store::postgres::{Postgres, PostgresOptions, migrate_up};
use prompt_ledger_store::{
    Access, Ended, ExecutionKey, Executions, Fence, Finish, Holder, NewExecution, PutPrompt, Recorded, Registry, Store,
};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor};
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3_600);
const DATABASE: &str = "prompt_ledger_load";

fn id() -> Uuid {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let millis = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let low = NEXT.fetch_add(1, Ordering::Relaxed) | (u64::from(std::process::id()) << 32);
    Uuid::from_u128((millis << 80) | (7 << 76) | (2 << 62) | u128::from(low & (u64::MAX >> 2)))
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().expect("name a server: postgres://USER@HOST:PORT/postgres");
    let callers: usize = arguments.next().map_or(64, |text| text.parse().expect("CALLERS is a number"));
    let seconds: u64 = arguments.next().map_or(5, |text| text.parse().expect("SECONDS is a number"));

    let server: PgConnectOptions = url.parse().expect("a URL");
    let mut operator = server.connect().await.unwrap();
    operator.execute("DROP DATABASE IF EXISTS prompt_ledger_load WITH (FORCE)").await.unwrap();
    operator.execute("CREATE DATABASE prompt_ledger_load").await.unwrap();
    let url = server.clone().database(DATABASE).to_url_lossy().to_string();
    migrate_up(&url).await.unwrap();
    let store = Arc::new(Postgres::open(&url, PostgresOptions::default()).await.unwrap());
    let example = example(&store).await;

    let length = Duration::from_secs(seconds);
    measure("warm-up", callers, Duration::from_secs(1), &store, &example, submit_one).await;
    measure("submits", callers, length, &store, &example, submit_one).await;
    measure("cycles (submit, claim, finish)", callers, length, &store, &example, cycle).await;
    measure("submits, one caller", 1, Duration::from_secs(2), &store, &example, submit_one).await;

    store.close().await;
    operator.execute("DROP DATABASE prompt_ledger_load WITH (FORCE)").await.unwrap();
}

async fn measure<F>(
    name: &str,
    callers: usize,
    length: Duration,
    store: &Arc<Postgres>,
    example: &NewExecution,
    work: impl Fn(Arc<Postgres>, NewExecution) -> F + Copy + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (store, example) = (Arc::clone(store), example.clone());
            tokio::spawn(async move {
                let mut took = Vec::new();
                while begun.elapsed() < length {
                    let one = Instant::now();
                    work(Arc::clone(&store), example.clone()).await;
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
    let elapsed = begun.elapsed().as_secs_f64();
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1_000.0;
    let rate = took.len() as f64 / elapsed;
    println!("{name}: {rate:.0}/s at {callers}; p50 {:.2} ms, p99 {:.2} ms", at(0.5), at(0.99));
}

async fn submit_one(store: Arc<Postgres>, example: NewExecution) {
    submit(&store, &example).await;
}

async fn submit(store: &Postgres, example: &NewExecution) -> ExecutionId {
    let key = Some(ExecutionKey { key: id().to_string(), request_hash: [7; 32] });
    let new = NewExecution { id: ExecutionId(id()), key, ..example.clone() };
    let id = new.id;
    assert!(matches!(store.submit(new, HOUR).await.unwrap(), Recorded::New(_)));
    id
}

async fn cycle(store: Arc<Postgres>, example: NewExecution) {
    let id = submit(&store, &example).await;
    let holder = Holder { worker: "worker-1".into(), claim_id: ClaimId(self::id()), lease: Duration::from_secs(30) };
    let claimed = store.claim(vec![Fence { id, attempt: 1 }], holder).await.unwrap();
    assert_eq!(claimed.len(), 1);
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
        response: "A sentence of an answer. ".repeat(16),
        response_truncated: false,
        finish_reason: Some(FinishReason::Stop),
        failure: None,
        cost_nano_usd: Some(90_000),
    };
    assert!(store.finish(claimed[0].fence, finish).await.unwrap().is_some());
}

/// An execution of a fresh prompt, of an ordinary size.
async fn example(store: &Postgres) -> NewExecution {
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
        created_by: "load".into(),
        set_active: true,
        create_only: false,
        etag: None,
        prompt_id: PromptId(id()),
        version_id: VersionId(id()),
    };
    let put = store.put_prompt(project, put).await.unwrap();
    NewExecution {
        id: ExecutionId(id()),
        project_id: project,
        prompt_id: put.prompt.id,
        version_id: put.version.id,
        prompt_mode: Mode::Full,
        must_be_active: true,
        environment: "prod".into(),
        input: Input::Prompt("Answer the question of Ada as well as you can. ".repeat(8)),
        prompt_truncated: false,
        variables: "{\"user\":{\"name\":\"Ada\"}}".into(),
        model: ModelRef { provider: "echo".into(), model: "echo".into() },
        price_id: None,
        params: Params { temperature: Some(0.7), ..Params::default() },
        correlation_id: "order-7".into(),
        key: None,
        timeout: Duration::from_secs(120),
        expire_after: None,
        max_retries: 3,
        stream_text: false,
    }
}
