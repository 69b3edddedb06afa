//! A million executions of a thousand prompts in one SQLite file: figures, lists, and how long the file takes to be added
//! up.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::analytics_service_client::AnalyticsServiceClient;
use prompt_ledger_testkit::ledger::Connection;

use super::analytics::{overview, timed, usage};
use super::lists::{lists, told};
use super::release::{FigureError, subject};

const FILL: &str = include_str!("../../crates/store-sqlite/benches/usage.sql");

/// Number of executions in the rollups.
const MOVED: &str =
    "SELECT coalesce(sum(r.executions), 0) FROM usage_series s CROSS JOIN usage_rollups r ON r.series = s.id
    WHERE s.prompt_id = '' AND s.provider = '' AND r.span = 1440;";

pub(super) async fn embedded(binaries: &Path, executions: i64) -> Result<(), FigureError> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("ledger.db");
    let builder = || subject(binaries.join("prompt-ledger")).data_dir(folder.path());
    builder().start().await.terminate().await;
    eprintln!("filling a SQLite file with {executions} executions");
    sqlite(&file, &FILL.replace("{executions}", &executions.to_string()))?;
    let ledger = builder().start().await;
    let began = Instant::now();
    while sqlite(&file, MOVED)?.trim() != executions.to_string() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("SQLite: all, added up            {:8.1} s", began.elapsed().as_secs_f64());
    println!(
        "  file                           {:8.0} MB",
        f64::from(u32::try_from(file.metadata()?.len() >> 10)?) / 1_024.0
    );
    figures(&AnalyticsServiceClient::new(ledger.connection()), executions).await?;
    lists("SQLite", &ledger).await?;
    ledger.terminate().await;
    Ok(())
}

async fn figures(client: &AnalyticsServiceClient<Connection>, executions: i64) -> Result<(), FigureError> {
    told("SQLite", "GetPromptAnalytics", &timed(|| overview(client.clone(), executions)).await?, 20);
    let hours = v1::QueryUsageRequest { bucket: v1::TimeBucket::Hour.into(), page_size: 500, ..Default::default() };
    told("SQLite", "QueryUsage by hour", &timed(|| usage(client.clone(), hours.clone(), executions)).await?, 20);
    let by = |dimension: v1::UsageDimension| v1::QueryUsageRequest {
        group_by: vec![dimension.into()],
        ..Default::default()
    };
    let models = by(v1::UsageDimension::Model);
    told("SQLite", "QueryUsage by model", &timed(|| usage(client.clone(), models.clone(), executions)).await?, 20);
    let prompts = by(v1::UsageDimension::Prompt);
    let page = || {
        let (mut client, request) = (client.clone(), prompts.clone());
        async move {
            let rows = client.query_usage(request).await?.into_inner().rows;
            if rows.is_empty() { Err("no rows".into()) } else { Ok(()) }
        }
    };
    told("SQLite", "QueryUsage by prompt", &timed(page).await?, 20);
    Ok(())
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
