//! Usage figures and lists over a million executions, figures beside the same ones computed from the executions themselves,
//! and what rollups cost the write path.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::analytics_service_client::AnalyticsServiceClient;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use prompt_ledger_testkit::ledger::{Connection, Ledger, spec};
use prompt_ledger_testkit::process::Process;
use prompt_ledger_testkit::services::{self, Database, Postgres, Redis};

use super::growth;
use super::lists::lists;
use super::load::{Times, closed_loop, median};
use super::production::{drained, family_seconds};
use super::registering::registering;
use super::release::{FigureError, configured, migrated, release_binaries};
use xtask::{CommandOutcome, install};

/// Calls per kind.
const CALLS: usize = 200;
/// Fewer: the raw statements take long.
const RAW_CALLS: &str = "10";
const ROUNDS: usize = 3;
/// Longer than executions wait before they are rolled up.
const ROUND: Duration = Duration::from_secs(25);
const CALLERS: usize = 32;

const FILL: &str = include_str!("../../crates/store-postgres/benches/usage.sql");
const FOLDED: &str = include_str!("../../crates/store-postgres/benches/usage_rolled_up.sql");
const SPENT: &str = include_str!("../../crates/store-postgres/benches/usage_spent.sql");
const STOP: &str = include_str!("../../crates/store-postgres/benches/usage_stop.sql");
const GO: &str = include_str!("../../crates/store-postgres/benches/usage_go.sql");
const OVERVIEW: &str = include_str!("../../crates/store-postgres/benches/usage_overview.sql");
const BY_HOUR: &str = include_str!("../../crates/store-postgres/benches/usage_by_hour.sql");
const BY_MODEL: &str = include_str!("../../crates/store-postgres/benches/usage_by_model.sql");

pub(super) async fn run(executions: i64) -> CommandOutcome {
    measure(executions).await.map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(executions: i64) -> Result<(), FigureError> {
    install::services().map_err(|error| error.to_string())?;
    install::sqlite().map_err(|error| error.to_string())?;
    let binaries = release_binaries(&["prompt-ledger-server", "prompt-ledger-worker"])?;
    growth::embedded(&binaries, executions).await?;
    let (postgres, redis) = tokio::join!(Postgres::start(), Redis::start());
    registering(&binaries, &postgres, &redis).await?;
    questions(&binaries, &postgres, &redis, executions).await?;
    write_path(&binaries, &postgres, &redis).await
}

/// The columns of a statement's one row.
fn asked(database: &Database, statement: &str) -> Vec<String> {
    services::sql(database.url(), statement).trim().split('|').map(str::to_owned).collect()
}

/// The executions, queried through gRPC and directly.
async fn questions(binaries: &Path, postgres: &Postgres, redis: &Redis, executions: i64) -> Result<(), FigureError> {
    let database = services::database_on(&postgres.url());
    let builder = configured(binaries.join("prompt-ledger"), &database, redis).serving();
    migrated(&builder)?;
    eprintln!("filling the database with {executions} executions");
    services::sql(database.url(), &FILL.replace("{executions}", &executions.to_string()));
    let server = builder.start().await;
    let began = Instant::now();
    while asked(&database, FOLDED).first().is_none_or(|folded| folded != "t") {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("Postgres: all, added up          {:8.1} s", began.elapsed().as_secs_f64());
    let client = AnalyticsServiceClient::new(server.connection());
    let overview = timed(|| overview(client.clone(), executions)).await?;
    told("GetPromptAnalytics", &overview, raw(&database, OVERVIEW)?);
    let hours = v1::QueryUsageRequest { bucket: v1::TimeBucket::Hour.into(), page_size: 500, ..Default::default() };
    let by_hour = timed(|| usage(client.clone(), hours.clone(), executions)).await?;
    told("QueryUsage by hour", &by_hour, raw(&database, BY_HOUR)?);
    let models = v1::QueryUsageRequest { group_by: vec![v1::UsageDimension::Model.into()], ..Default::default() };
    let by_model = timed(|| usage(client.clone(), models.clone(), executions)).await?;
    told("QueryUsage by model", &by_model, raw(&database, BY_MODEL)?);
    lists("Postgres", &server).await
}

pub(super) async fn overview(
    mut client: AnalyticsServiceClient<Connection>,
    executions: i64,
) -> Result<(), FigureError> {
    let told = client.get_prompt_analytics(v1::GetPromptAnalyticsRequest::default()).await?.into_inner();
    match told.summary.is_some_and(|summary| summary.total_executions == executions) {
        true => Ok(()),
        false => Err("these are not all executions".into()),
    }
}

pub(super) async fn usage(
    mut client: AnalyticsServiceClient<Connection>,
    request: v1::QueryUsageRequest,
    executions: i64,
) -> Result<(), FigureError> {
    let told = client.query_usage(request).await?.into_inner();
    match told.rows.iter().map(|row| row.execution_count).sum::<i64>() == executions {
        true => Ok(()),
        false => Err("these are not all executions".into()),
    }
}

/// Calls in sequence.
pub(super) async fn timed<F: Future<Output = Result<(), FigureError>>>(
    call: impl Fn() -> F,
) -> Result<Times, FigureError> {
    let mut times = Times::new()?;
    for _ in 0..CALLS {
        let sent = Instant::now();
        call().await?;
        times.record(sent.elapsed());
    }
    Ok(times)
}

/// The mean time of the raw statement, in milliseconds.
fn raw(database: &Database, statement: &str) -> Result<f64, FigureError> {
    let script = tempfile::NamedTempFile::new()?;
    std::fs::write(script.path(), statement)?;
    let mut command = Command::new("pgbench");
    command.env("PGOPTIONS", services::unbound());
    command.args(["-n", "-c", "1", "-t", RAW_CALLS, "-f"]).arg(script.path()).arg(database.url());
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let average = said.lines().find_map(|line| line.strip_prefix("latency average = ")?.split_whitespace().next());
    Ok(average.ok_or_else(|| format!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr)))?.parse()?)
}

fn told(what: &str, times: &Times, raw: f64) {
    let (p50, p99) = (times.quantile(0.5), times.quantile(0.99));
    println!("{what:32} {p50:8.2} ms     p99 {p99:.2} ms (aim 20); the raw GROUP BY {raw:.0} ms");
}

struct AnalyticsDeployment {
    server: Ledger,
    _worker: Process,
    database: Database,
    _model: FakeModel,
}

async fn deploy(binaries: &Path, postgres: &Postgres, redis: &Redis) -> Result<AnalyticsDeployment, FigureError> {
    let (database, model) = (services::database_on(&postgres.url()), FakeModel::start().await);
    model.otherwise(Reply::echo());
    let binary = |name: &str| {
        let builder = configured(binaries.join(name), &database, redis).env("DEFAULT_MODEL", "openai/gpt-4o-mini");
        builder.openai(&model.base_url())
    };
    let builder = binary("prompt-ledger").serving();
    migrated(&builder)?;
    let server = builder.start().await;
    let worker = binary("prompt-ledger-worker").start_worker().await;
    server.active("greet", "Say hello to {{name}}.").await;
    Ok(AnalyticsDeployment { server, _worker: worker, database, _model: model })
}

#[derive(Clone, Copy)]
struct Spent {
    wal: f64,
    cpu: f64,
    executions: f64,
    moved: f64,
}

fn spent(postgres: &Postgres, database: &Database) -> Result<Spent, FigureError> {
    let numbers = asked(database, SPENT).iter().map(|number| number.parse()).collect::<Result<Vec<f64>, _>>()?;
    let moved = asked(database, FOLDED).get(1).ok_or("no rollups")?.parse()?;
    let [wal, executions] = numbers[..] else { return Err("no answer".into()) };
    Ok(Spent { wal, cpu: family_seconds(postgres.pid()), executions, moved })
}

/// Executions with and without the rollup, in alternate rounds. What a round without it records is rolled up in the
/// next, so that as many are rolled up as are recorded.
async fn write_path(binaries: &Path, postgres: &Postgres, redis: &Redis) -> Result<(), FigureError> {
    let deployment = deploy(binaries, postgres, redis).await?;
    let (mut wal, mut cpu) = (Vec::new(), Vec::new());
    let mut base = Vec::new();
    for _ in 0..ROUNDS {
        services::sql(deployment.database.url(), STOP);
        let without = round(postgres, &deployment).await?;
        services::sql(deployment.database.url(), GO);
        let with = round(postgres, &deployment).await?;
        let per = |spent: f64, of: Spent| spent / of.executions;
        let added = |with_spent: f64, without_spent: f64| {
            (with_spent - per(without_spent, without) * with.executions) / with.moved
        };
        let more = [added(with.wal, without.wal), added(with.cpu, without.cpu)];
        wal.push(more[0] / per(without.wal, without) * 100.0);
        cpu.push(more[1] / per(without.cpu, without) * 100.0);
        base.push((per(without.wal, without), per(without.cpu, without), with.moved / with.executions));
    }
    let middle = |of: fn(&(f64, f64, f64)) -> f64| median(base.iter().map(of).collect());
    println!("WAL per execution                {:8.0} B", middle(|base| base.0));
    println!("  added by moving it             {:8.2} %      (aim 5)", median(wal));
    println!("Postgres CPU per execution       {:8.3} ms", middle(|base| base.1) * 1_000.0);
    println!("  added by moving it             {:8.2} %      (aim 5)", median(cpu));
    println!("  moved for each one recorded    {:8.2}", middle(|base| base.2));
    Ok(())
}

/// Resources used by one round.
async fn round(postgres: &Postgres, deployment: &AnalyticsDeployment) -> Result<Spent, FigureError> {
    let before = spent(postgres, &deployment.database)?;
    let client = deployment.server.executions();
    let submit = move |_| {
        let mut client = client.clone();
        async move {
            let request = v1::SubmitExecutionRequest { spec: Some(spec("greet", &[("name", "Ada")])) };
            client.submit_execution(request).await.map(|_| ())
        }
    };
    closed_loop(CALLERS, ROUND, submit).await?;
    drained(&deployment.server).await?;
    let after = spent(postgres, &deployment.database)?;
    Ok(Spent {
        wal: after.wal - before.wal,
        cpu: after.cpu - before.cpu,
        executions: after.executions - before.executions,
        moved: after.moved - before.moved,
    })
}
