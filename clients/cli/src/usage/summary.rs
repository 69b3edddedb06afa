//! `ledgerctl usage --summary`: all in figures.

use prompt_ledger_client::v1;
use prost_types::Timestamp;

use super::figures::{cost, mode};
use crate::connection::LedgerConnection;
use crate::contract_json;
use crate::failure::CommandError;
use crate::output::{AnswerFormat, Output};
use crate::style::Tone;
use crate::table::{Cell, Table, TableColumn};

pub(super) async fn run(
    mode: v1::PromptMode,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    connection: &LedgerConnection,
    output: &mut Output<'_>,
) -> Result<(), CommandError> {
    let request = v1::GetPromptAnalyticsRequest { mode: mode.into(), start_time: since, end_time: until };
    let answer = connection
        .ask(request, |client, request| async move { client.analytics().get_prompt_analytics(request).await })
        .await?;
    if output.format != AnswerFormat::Text {
        return Ok(output.json(&contract_json::write("GetPromptAnalyticsResponse", &answer))?);
    }
    let summary = answer.summary.unwrap_or_default();
    let prompts = format!(
        "{} full, {} tracking, {} archived",
        summary.full_mode_prompts, summary.tracking_mode_prompts, summary.archived_prompts
    );
    output.cells(&[Cell::new(Tone::Dim, "prompts     "), prompts.into()])?;
    let executions = format!(
        "{}: {} succeeded, {} failed, {} canceled, {} open",
        summary.total_executions, summary.succeeded, summary.failed, summary.canceled, summary.unfinished
    );
    output.cells(&[Cell::new(Tone::Dim, "executions  "), executions.into()])?;
    let costs = cost(summary.cost_nano_usd, summary.executions_without_cost);
    output.cells(&[Cell::new(Tone::Dim, "cost        "), costs.into()])?;
    output.text("\n")?;
    Ok(output.table(&table(&answer.by_mode))?)
}

fn table(modes: &[v1::ModeAnalytics]) -> Table {
    let figures =
        ["RUNS", "OK", "FAILED", "CANCELED", "OPEN", "AVERAGE", "P50", "P95", "P99", "TOKENS IN", "OUT", "COST"];
    let columns: Vec<TableColumn> =
        std::iter::once(TableColumn::Left("MODE")).chain(figures.map(TableColumn::Right)).collect();
    let mut table = Table::new(&columns);
    let millis = |millis: Option<f64>| millis.map_or_else(|| "-".to_owned(), |millis| format!("{millis:.0} ms")).into();
    for figures in modes {
        let failed = if figures.failed > 0 { Tone::Bad } else { Tone::Dim };
        table.row(vec![
            Cell::new(Tone::Strong, mode(figures.mode())),
            figures.execution_count.to_string().into(),
            figures.succeeded.to_string().into(),
            Cell::new(failed, figures.failed.to_string()),
            figures.canceled.to_string().into(),
            figures.unfinished.to_string().into(),
            millis(figures.avg_latency_ms),
            millis(figures.p50_latency_ms),
            millis(figures.p95_latency_ms),
            millis(figures.p99_latency_ms),
            figures.prompt_tokens.to_string().into(),
            figures.response_tokens.to_string().into(),
            cost(figures.cost_nano_usd, figures.executions_without_cost).into(),
        ]);
    }
    table
}
