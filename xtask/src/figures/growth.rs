//! A million executions of a thousand prompts in one SQLite file: figures, lists, and how long the file takes to be added
//! up.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::analytics_service_client::AnalyticsServiceClient;
use prompt_ledger_proto::v1::execution_service_client::ExecutionServiceClient;
use prompt_ledger_testkit::ledger::{Connection, server};

use super::analytics::{overview, timed, usage};
use super::load::Times;
use super::release::FigureError;

const FILL: &str = include_str!("../../../crates/store-sqlite/benches/usage.sql");

/// Number of executions in the rollups.
const MOVED: &str =
    "SELECT coalesce(sum(r.executions), 0) FROM usage_series s CROSS JOIN usage_rollups r ON r.series = s.id
    WHERE s.prompt_id = '' AND r.span = 1440;";

/// Of the versions of each prompt, the one in the list of a version.
const VERSION: i32 = 2;

pub(super) async fn embedded(binaries: &Path) -> Result<(), FigureError> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("ledger.db");
    let builder = || server(binaries.join("prompt-ledger")).data_dir(folder.path());
    builder().start().await.terminate().await;
    eprintln!("filling a SQLite file with a million executions");
    sqlite(&file, FILL)?;
    let ledger = builder().start().await;
    let began = Instant::now();
    while sqlite(&file, MOVED)?.trim() != "1000000" {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("SQLite: a million, added up      {:8.1} s", began.elapsed().as_secs_f64());
    println!(
        "  file                           {:8.0} MB",
        f64::from(u32::try_from(file.metadata()?.len() >> 10)?) / 1_024.0
    );
    figures(&AnalyticsServiceClient::new(ledger.connection())).await?;
    lists(&ledger.executions()).await?;
    ledger.terminate().await;
    Ok(())
}

async fn figures(client: &AnalyticsServiceClient<Connection>) -> Result<(), FigureError> {
    told("SQLite: GetPromptAnalytics", &timed(|| overview(client.clone())).await?, 20);
    let hours = v1::QueryUsageRequest { bucket: v1::TimeBucket::Hour.into(), page_size: 500, ..Default::default() };
    told("SQLite: QueryUsage by hour", &timed(|| usage(client.clone(), hours.clone())).await?, 20);
    let by = |dimension: v1::UsageDimension| v1::QueryUsageRequest {
        group_by: vec![dimension.into()],
        ..Default::default()
    };
    let models = by(v1::UsageDimension::Model);
    told("SQLite: QueryUsage by model", &timed(|| usage(client.clone(), models.clone())).await?, 20);
    let prompts = by(v1::UsageDimension::Prompt);
    let page = || {
        let (mut client, request) = (client.clone(), prompts.clone());
        async move {
            let rows = client.query_usage(request).await?.into_inner().rows;
            if rows.is_empty() { Err("no rows".into()) } else { Ok(()) }
        }
    };
    told("SQLite: QueryUsage by prompt", &timed(page).await?, 20);
    Ok(())
}

/// Lists by what few executions have, and by what many have.
async fn lists(client: &ExecutionServiceClient<Connection>) -> Result<(), FigureError> {
    let all = v1::ListExecutionsRequest::default;
    let prompt = || v1::ListExecutionsRequest { prompt_name: "prompt-7".into(), ..all() };
    let failed = vec![v1::ExecutionStatus::Failed.into()];
    let canceled = vec![v1::ExecutionStatus::Canceled.into()];
    let nowhere = || String::from("nowhere");
    for (what, request) in [
        ("all", all()),
        ("one prompt", prompt()),
        ("one version", v1::ListExecutionsRequest { version_number: Some(VERSION), ..prompt() }),
        ("failed", v1::ListExecutionsRequest { statuses: failed.clone(), ..all() }),
        ("canceled of one prompt", v1::ListExecutionsRequest { statuses: canceled, ..prompt() }),
        ("an environment", v1::ListExecutionsRequest { environment: "dev".into(), ..all() }),
        ("an unknown environment", v1::ListExecutionsRequest { environment: nowhere(), ..all() }),
        ("the same, of one prompt", v1::ListExecutionsRequest { environment: nowhere(), ..prompt() }),
        ("the same, failed", v1::ListExecutionsRequest { environment: nowhere(), statuses: failed, ..all() }),
    ] {
        let list = || {
            let (mut client, request) = (client.clone(), request.clone());
            async move { Ok(client.list_executions(request).await.map(drop)?) }
        };
        told(&format!("SQLite: list, {what}"), &timed(list).await?, 10);
    }
    Ok(())
}

fn told(what: &str, times: &Times, aim: u32) {
    let (p50, p99) = (times.quantile(0.5), times.quantile(0.99));
    println!("{what:40} {p50:8.2} ms     p99 {p99:.2} ms (aim {aim})");
}

/// Runs statements in a file with SQLite's shell. Returns what they print.
fn sqlite(file: &Path, statements: &str) -> Result<String, FigureError> {
    use std::io::Write as _;
    let mut shell = Command::new("sqlite3");
    shell.args(["-bail", "-cmd", ".timeout 30000"]).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = shell.spawn()?;
    shell.stdin.take().ok_or("no standard input")?.write_all(statements.as_bytes())?;
    let output = shell.wait_with_output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(format!("sqlite3 failed: {}", output.status).into()),
    }
}
