//! Production on this machine: a server and a worker on real Postgres, Redis and RabbitMQ, beside `pgbench` running the
//! same statement.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_providers::openai::OpenAi;
use prompt_ledger_providers::{Endpoint, Provider};
use prompt_ledger_store::parameters::with_rows;
use prompt_ledger_testkit::fake_model::{FakeModel, Reply};
use prompt_ledger_testkit::ledger::{Builder, Connection, Ledger, spec};
use prompt_ledger_testkit::process::Process;
use prompt_ledger_testkit::services::{self, Database, Postgres, Rabbit, Redis};

use super::disk;
use super::load::{Times, closed_loop, median, open_loop};
use super::main_job::{CONNECTIONS, at, call, connections, resident_mib};
use super::release::{FigureError, migrated, release_binaries, subject};
use xtask::{CommandOutcome, install};

const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(5);
const CALLERS: usize = 64;
const SYNCS: usize = 2_000;
/// Submits per second where the time to the end is measured.
const RATE: u32 = 200;
/// The statement with which the server records executions.
const RECORD: &str = include_str!("../../crates/store-postgres/src/sql/record.sql");
const GREET: &str = include_str!("../../crates/store-postgres/benches/greet.sql");
const TERMINAL_TIMES: &str = include_str!("../../crates/store-postgres/benches/terminal_times.sql");

pub(super) async fn run() -> CommandOutcome {
    measure().await.map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

struct ProductionDeployment {
    server: Ledger,
    worker: Process,
    database: Database,
    model: FakeModel,
}

async fn measure() -> Result<(), FigureError> {
    install::services().map_err(|error| error.to_string())?;
    let binaries = release_binaries(&["prompt-ledger-server", "prompt-ledger-worker"])?;
    let (postgres, redis, rabbit) = tokio::join!(Postgres::start(), Redis::start(), Rabbit::start());
    let folder = tempfile::tempdir()?;
    let began = Instant::now();
    let disk = disk::fdatasync(folder.path(), SYNCS, Duration::ZERO)?;
    let rate = f64::from(u32::try_from(SYNCS)?) / began.elapsed().as_secs_f64();
    let (f, f99) = (disk.quantile(0.5), disk.quantile(0.99));
    println!("fdatasync (F)                    {f:8.2} ms     p99 {f99:.2} ms, {rate:.0} /s");
    for (broker, redis, amqp) in
        [("Redis", Some(redis.url()), Some(rabbit.url())), ("RabbitMQ", None, Some(rabbit.url()))]
    {
        if broker == "Redis" {
            submits(&deploy(&binaries, &postgres, redis.as_deref(), amqp.as_deref()).await?).await?;
        }
        let deployment = deploy(&binaries, &postgres, redis.as_deref(), amqp.as_deref()).await?;
        println!("through {broker}");
        for millis in [0, 20] {
            executions(&deployment, millis).await?;
        }
        for millis in [0, 20] {
            terminal(&deployment, millis, (f, f99)).await?;
        }
    }
    Ok(())
}

async fn deploy(
    binaries: &Path,
    postgres: &Postgres,
    redis: Option<&str>,
    amqp: Option<&str>,
) -> Result<ProductionDeployment, FigureError> {
    let (database, model) = (services::database_on(&postgres.url()), FakeModel::start().await);
    let configured = |binary: PathBuf| -> Builder {
        let set = [("DATABASE_URL", Some(database.url())), ("REDIS_URL", redis), ("AMQP_URL", amqp)];
        let builder = set.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        let builder = builder.fold(subject(binary), |builder, (name, value)| builder.env(name, value));
        // A round submits without a bound.
        let builder = builder.env("QUEUE_DEPTH_LIMIT", "100000000");
        builder
            .env("DEFAULT_MODEL", "openai/gpt-4o-mini")
            .env("LOG", "warn,prompt_ledger_worker::process=info")
            .openai(&model.base_url())
    };
    let builder = configured(binaries.join("prompt-ledger")).serving();
    migrated(&builder)?;
    let server = builder.start().await;
    let worker = configured(binaries.join("prompt-ledger-worker")).start_worker().await;
    server.active("greet", "Say hello to {{name}}.").await;
    Ok(ProductionDeployment { server, worker, database, model })
}

async fn clients(deployment: &ProductionDeployment) -> Result<Arc<[ExecutionServiceClient<Connection>]>, FigureError> {
    Ok(connections(&deployment.server.addr, &deployment.server.key)
        .await?
        .into_iter()
        .map(ExecutionServiceClient::new)
        .collect())
}

async fn submit(mut client: ExecutionServiceClient<Connection>) -> Result<(), tonic::Status> {
    let request = v1::SubmitExecutionRequest { spec: Some(spec("greet", &[("name", "Ada")])) };
    client.submit_execution(request).await.map(|_| ())
}

/// One round of submits by 64 callers.
async fn submitted(deployment: &ProductionDeployment) -> Result<Times, FigureError> {
    let clients = clients(deployment).await?;
    closed_loop(CALLERS, ROUND, move |caller| submit(clients[caller % CONNECTIONS].clone())).await
}

/// Waits until no execution is queued or running.
pub(super) async fn drained(server: &Ledger) -> Result<(), FigureError> {
    let unfinished = [v1::ExecutionStatus::Queued, v1::ExecutionStatus::Running].map(i32::from).to_vec();
    let request = v1::ListExecutionsRequest { statuses: unfinished, page_size: 1, ..Default::default() };
    let mut client = server.executions();
    while !client.list_executions(request.clone()).await?.into_inner().executions.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Durable submits beside `pgbench`. The worker is paused, so nothing else runs.
async fn submits(deployment: &ProductionDeployment) -> Result<(), FigureError> {
    let (mut ours, mut bench) = (Vec::new(), Vec::new());
    deployment.worker.signal("STOP");
    for round in 1..=ROUNDS {
        ours.push(submitted(deployment).await?);
        bench.push(pgbench(deployment, round)?);
    }
    let rate = median(ours.iter().map(Times::rate).collect());
    let yardstick = median(bench);
    println!(
        "  submits, {CALLERS} callers           {rate:8.0} /s     p50 {:.2} ms, p99 {:.2} ms (aim 3000)",
        at(&ours, 0.5),
        at(&ours, 0.99)
    );
    println!("  pgbench, {CALLERS} clients           {yardstick:8.0} /s");
    println!("    ratio                        {:8.2}        (aim 0.6)", rate / yardstick);
    Ok(())
}

/// The rate of `pgbench` with the server's statement, one execution each, in transactions per second.
fn pgbench(deployment: &ProductionDeployment, round: usize) -> Result<f64, FigureError> {
    let script = tempfile::NamedTempFile::new()?;
    std::fs::write(script.path(), format!("\\set n :n + 1\n{};\n", single(RECORD)?))?;
    let ids = services::sql(deployment.database.url(), GREET);
    let ids = ids.trim().split('|').collect::<Vec<_>>();
    let [project, prompt, version] = ids[..] else { return Err(format!("no prompt: {ids:?}").into()) };
    let mut command = Command::new("pgbench");
    command.env("PGOPTIONS", services::unbound());
    command.args(["-n", "-M", "prepared", "-j", "2", "-c", &CALLERS.to_string(), "-T", &ROUND.as_secs().to_string()]);
    for (name, value) in [("n", "0"), ("round", &round.to_string()), ("project", project), ("prompt", prompt)] {
        command.arg("-D").arg(format!("{name}={value}"));
    }
    command.arg("-D").arg(format!("version={version}")).arg("-f").arg(script.path());
    let output = command.arg(deployment.database.url()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next());
    Ok(rate.ok_or_else(|| format!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr)))?.parse()?)
}

/// Ascending per client, like the server's ids.
const ID: &str = "'00000000-0000-7000-8000-' || lpad(to_hex(
    :round::int8 * 10000000000000 + :client_id::int8 * 10000000000 + :n::int8), 12, '0')";

/// The server's columns of an execution: name, type, and a value in pgbench's words.
const COLUMNS: &[(&str, &str, &str)] = &[
    ("id", "uuid", ID),
    ("project_id", "uuid", ":project"),
    ("prompt_id", "uuid", ":prompt"),
    ("version_id", "uuid", ":version"),
    ("must_be_active", "boolean", "true"),
    ("environment", "text", "'dev'"),
    ("provider", "text", "'openai'"),
    ("model_name", "text", "'gpt-4o-mini'"),
    ("price_id", "uuid", "NULL"),
    ("temperature", "float8", "NULL"),
    ("top_k", "int4", "NULL"),
    ("top_p", "float8", "NULL"),
    ("repetition_penalty", "float8", "NULL"),
    ("max_new_tokens", "int4", "NULL"),
    ("correlation_id", "text", "''"),
    ("idempotency_key", "text", "NULL"),
    ("request_hash", "bytea", "NULL"),
    ("settings", "text", "NULL"),
    ("needs", "int2", "0"),
    ("label", "text", "''"),
    ("must_be_labelled", "boolean", "false"),
    ("prompt_truncated", "boolean", "false"),
    ("timeout_micros", "int8", "120000000"),
    ("max_retries", "int4", "3"),
    ("stream_text", "boolean", "false"),
    ("worker", "text", "''"),
    ("claim_id", "uuid", "NULL"),
    ("reserved", "int8", "10000000"),
    ("life", "int8", "NULL"),
    ("trace", "text", "NULL"),
    ("rendered_prompt", "text", "'Say hello to Ada.'"),
    ("messages", "text", "NULL"),
    ("variables", "text", r#"'{"name":"Ada"}'"#),
    ("request", "text", "NULL"),
    ("metadata", "text", "NULL"),
    ("prompt_mode", "text", "'full'"),
    ("keys_revision", "int8", "NULL"),
    ("models_revision", "int8", "NULL"),
    ("project_revision", "int8", "NULL"),
];

/// The statement for one execution, as the server submits it here: each parameter an array of one. An error names a
/// column that has no value here.
fn single(statement: &str) -> Result<String, FigureError> {
    let missing = Cell::new(None);
    let text = with_rows(statement, |name| match COLUMNS.iter().find(|column| column.0 == name) {
        Some((_, kind, value)) => Some(format!("(ARRAY[{value}])::{kind}[]")),
        None => {
            missing.set(Some(name.to_owned()));
            None
        }
    });
    match missing.take() {
        None => Ok(text),
        Some(name) => {
            Err(format!("the statement that records executions has a column {name}, and COLUMNS no value").into())
        }
    }
}

/// The rate of executions from submit to end, and the CPU time of the processes.
async fn executions(deployment: &ProductionDeployment, millis: u64) -> Result<(), FigureError> {
    deployment.model.otherwise(Reply::echo().delay(Duration::from_millis(millis)));
    let processes = [deployment.server.pid(), deployment.worker.pid()];
    let before = processes.map(cpu_seconds);
    let began = Instant::now();
    let times = submitted(deployment).await?;
    let memory = processes.map(resident_mib);
    drained(&deployment.server).await?;
    let elapsed = began.elapsed().as_secs_f64();
    let count = times.rate() * times.elapsed.as_secs_f64();
    let spent: Vec<f64> = processes.iter().zip(before).map(|(pid, before)| cpu_seconds(*pid) - before).collect();
    let [server, worker] = memory;
    println!("  executions, a model of {millis:2} ms     {:8.0} /s     (aim 2000 at 0 ms)", count / elapsed);
    println!("    memory, server and worker    {:8.1} MiB    {:.1} MiB", server?, worker?);
    let per_thousand = |seconds: f64| seconds * 1_000.0 / count;
    println!(
        "    CPU per 1,000 executions     {:8.2} s      {:.2} s",
        per_thousand(spent.first().copied().unwrap_or(f64::NAN)),
        per_thousand(spent.get(1).copied().unwrap_or(f64::NAN))
    );
    Ok(())
}

/// The time from recording to the end, at a fixed rate.
async fn terminal(deployment: &ProductionDeployment, millis: u64, (f, f99): (f64, f64)) -> Result<(), FigureError> {
    deployment.model.otherwise(Reply::echo().delay(Duration::from_millis(millis)));
    let base_url = deployment.model.base_url().parse()?;
    let provider: Arc<dyn Provider> =
        Arc::new(OpenAi::new(Endpoint { base_url: Some(base_url), ..Endpoint::default() })?);
    let direct = open_loop(RATE, ROUND, move |_| call(Arc::clone(&provider))).await?;
    let clients = clients(deployment).await?;
    let asked = open_loop(RATE, 2 * ROUND, move |caller| submit(clients[caller % CONNECTIONS].clone())).await?;
    drained(&deployment.server).await?;
    let statement = TERMINAL_TIMES.replace(":seconds", &(2 * ROUND.as_secs()).to_string());
    let answer = services::sql(deployment.database.url(), &statement);
    let mut columns = answer.trim().split('|').map(str::parse::<f64>);
    let (Some(Ok(p50)), Some(Ok(p99))) = (columns.next(), columns.next()) else {
        return Err(format!("no times: {answer}").into());
    };
    println!(
        "  at {RATE} /s, a model of {millis:2} ms: submit p50 {:.2} ms, p99 {:.2} ms",
        asked.quantile(0.5),
        asked.quantile(0.99)
    );
    println!(
        "    the model alone              {:8.2} ms     p99 {:.2} ms",
        direct.quantile(0.5),
        direct.quantile(0.99)
    );
    println!(
        "    to the end, added            {:8.2} ms     p99 {:.2} ms (aim {:.2} and {:.2})",
        p50 - direct.quantile(0.5),
        p99 - direct.quantile(0.99),
        3.0 * f + 1.5,
        3.0 * f99 + 6.0
    );
    Ok(())
}

/// CPU time of a process so far, user and system, in seconds.
pub(super) fn cpu_seconds(pid: u32) -> f64 {
    times(pid).map_or(f64::NAN, |times| times.own)
}

/// CPU time of a process, its children, and those of them that have ended.
pub(super) fn family_seconds(pid: u32) -> f64 {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let children = pids.filter_map(times).filter(|times| times.parent == pid).map(|times| times.own);
    children.sum::<f64>() + times(pid).map_or(f64::NAN, |times| times.own + times.ended_children)
}

/// CPU time, in seconds.
struct ProcessTimes {
    parent: u32,
    own: f64,
    ended_children: f64,
}

fn times(pid: u32) -> Option<ProcessTimes> {
    /// Fixed at 100 on Linux.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let seconds = |field: usize| Some(fields.get(field)?.parse::<f64>().ok()? / TICKS);
    let parent = fields.get(1)?.parse().ok()?;
    Some(ProcessTimes { parent, own: seconds(11)? + seconds(12)?, ended_children: seconds(13)? + seconds(14)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pgbench_has_a_value_for_each_column_of_the_servers_statement() {
        assert!(single(RECORD).unwrap().contains("'Say hello to Ada.'"));
        let unknown = single("SELECT * FROM unnest(:rows) AS n (id, nobody_knows)").unwrap_err();
        assert!(unknown.to_string().contains("nobody_knows"));
    }
}
