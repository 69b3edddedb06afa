//! Figures over executions of prompts that live in code, compared with figures computed from the executions
//! themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use prompt_ledger_proto::v1::{self, ExecutionStatus, PromptMode, UsageDimension, UsageRow};
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::{Ledger, carried, spec};

use super::analytics::{by, overview, usage};
use super::ledger_with_model;
use super::lists::list;
use super::queued::ended;

async fn all(ledger: &Ledger) -> Vec<v1::Execution> {
    list(ledger, v1::ListExecutionsRequest::default()).await.executions
}

/// The figures of these executions, without the dimensions of a split; a percentile is the latency at its rank.
fn recount<'a>(executions: impl IntoIterator<Item = &'a v1::Execution>) -> UsageRow {
    let (mut row, mut latencies) = (UsageRow::default(), Vec::new());
    for execution in executions {
        row.execution_count += 1;
        *match execution.status() {
            ExecutionStatus::Succeeded => &mut row.succeeded,
            ExecutionStatus::Failed => &mut row.failed,
            ExecutionStatus::Canceled => &mut row.canceled,
            _ => &mut row.unfinished,
        } += 1;
        row.prompt_tokens += i64::from(execution.prompt_tokens.unwrap_or(0));
        row.response_tokens += i64::from(execution.response_tokens.unwrap_or(0));
        match execution.cost_nano_usd {
            Some(cost) => *row.cost_nano_usd.get_or_insert(0) += cost,
            None => row.executions_without_cost += 1,
        }
        latencies.extend(execution.latency_ms.map(f64::from));
    }
    latencies.sort_by(f64::total_cmp);
    let place = |percent: usize| latencies.get((latencies.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    let count = f64::from(u32::try_from(latencies.len()).unwrap());
    row.avg_latency_ms = (count > 0.0).then(|| latencies.iter().sum::<f64>() / count);
    (row.p50_latency_ms, row.p95_latency_ms, row.p99_latency_ms) = (place(50), place(95), place(99));
    row
}

/// Asserts that all figures equal the recomputed ones; a percentile within 0.8 %.
#[track_caller]
fn agree<'a>(told: UsageRow, executions: impl IntoIterator<Item = &'a v1::Execution>) {
    let exact = recount(executions);
    let close = |told: Option<f64>, exact: Option<f64>| match (told, exact) {
        (Some(told), Some(exact)) if (told - exact).abs() <= 0.008 * exact => Some(exact),
        _ => told,
    };
    let rounded = UsageRow {
        p50_latency_ms: close(told.p50_latency_ms, exact.p50_latency_ms),
        p95_latency_ms: close(told.p95_latency_ms, exact.p95_latency_ms),
        p99_latency_ms: close(told.p99_latency_ms, exact.p99_latency_ms),
        ..told
    };
    assert_eq!(rounded, exact);
}

fn of_mode(told: &v1::ModeAnalytics) -> UsageRow {
    UsageRow {
        execution_count: told.execution_count,
        succeeded: told.succeeded,
        failed: told.failed,
        canceled: told.canceled,
        unfinished: told.unfinished,
        avg_latency_ms: told.avg_latency_ms,
        p50_latency_ms: told.p50_latency_ms,
        p95_latency_ms: told.p95_latency_ms,
        p99_latency_ms: told.p99_latency_ms,
        prompt_tokens: told.prompt_tokens,
        response_tokens: told.response_tokens,
        cost_nano_usd: told.cost_nano_usd,
        executions_without_cost: told.executions_without_cost,
        ..UsageRow::default()
    }
}

/// A summary has no latencies: they are taken from the recomputed figures.
#[track_caller]
fn sums_agree(told: &v1::AnalyticsSummary, executions: &[&v1::Execution]) {
    let row = UsageRow {
        execution_count: told.total_executions,
        succeeded: told.succeeded,
        failed: told.failed,
        canceled: told.canceled,
        unfinished: told.unfinished,
        prompt_tokens: told.prompt_tokens,
        response_tokens: told.response_tokens,
        cost_nano_usd: told.cost_nano_usd,
        executions_without_cost: told.executions_without_cost,
        ..recount(executions.iter().copied())
    };
    agree(row, executions.iter().copied());
}

/// One full-mode prompt, two in code, and one in code that is archived by now: six executions, one of which failed and
/// one of which has no price.
async fn both_modes(ledger: &Ledger, model: &FakeModel) {
    ledger.carry(["c1", "c2", "old"].map(|name| carried(name, &format!("hello from {name}"))).into()).await;
    ledger.active("f1", "hello").await;
    ledger.run_code(spec("c1", &[])).await;
    ledger.run_code(v1::ExecutionSpec { environment: "prod".into(), ..spec("c2", &[]) }).await;
    ended(ledger, &ledger.submit_code(spec("c1", &[])).await).await;
    model.next(Reply::status(400, "no"));
    ledger.run_code(spec("c2", &[])).await;
    let priceless = Some(v1::ModelRef { provider: "openai".into(), model_name: "mine".into() });
    ledger.run_code(v1::ExecutionSpec { model: priceless, ..spec("old", &[]) }).await;
    ledger
        .registry()
        .archive_prompt(v1::ArchivePromptRequest {
            name: "old".into(),
            etag: None,
            ..v1::ArchivePromptRequest::default()
        })
        .await
        .unwrap();
    ledger.run(spec("f1", &[])).await;
}

#[tokio::test]
async fn an_overview_tells_the_modes_apart_and_follows_the_filter() {
    let (ledger, model) = ledger_with_model().await;
    both_modes(&ledger, &model).await;
    let executions = all(&ledger).await;
    let (full, tracking) = (PromptMode::Full, PromptMode::Tracking);
    for (mode, prompts, counts) in [
        (PromptMode::Unspecified, (1, 2, 1), vec![(full, 1, 1, 0), (tracking, 5, 4, 1)]),
        (full, (1, 0, 0), vec![(full, 1, 1, 0)]),
        (tracking, (0, 2, 1), vec![(tracking, 5, 4, 1)]),
    ] {
        let request = v1::GetPromptAnalyticsRequest { mode: mode.into(), ..Default::default() };
        let told = overview(&ledger, request).await;
        let summary = told.summary.unwrap();
        let found = (summary.full_mode_prompts, summary.tracking_mode_prompts, summary.archived_prompts);
        assert_eq!(found, prompts, "{mode:?}");
        let found = told.by_mode.iter().map(|of| (of.mode(), of.execution_count, of.succeeded, of.failed));
        assert_eq!(found.collect::<Vec<_>>(), counts, "{mode:?}");
        let matching = |of: &PromptMode| mode == PromptMode::Unspecified || mode == *of;
        sums_agree(&summary, &executions.iter().filter(|one| matching(&one.prompt_mode())).collect::<Vec<_>>());
        for of in &told.by_mode {
            agree(of_mode(of), executions.iter().filter(|one| one.prompt_mode() == of.mode()));
        }
    }
}

#[tokio::test]
async fn every_row_of_usage_is_a_recount_of_its_executions() {
    let (ledger, model) = ledger_with_model().await;
    both_modes(&ledger, &model).await;
    let executions = all(&ledger).await;
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for one in &executions {
        let model = one.model.clone().unwrap().model_name;
        let status = one.status().as_str_name();
        groups.entry((one.prompt_name.clone(), model, one.environment.clone(), status)).or_default().push(one);
    }
    use UsageDimension::{Environment, Model, Prompt, Status};
    let rows = usage(&ledger, by(&[Status, Environment, Model, Prompt])).await;
    assert_eq!((rows.len(), groups.len()), (5, 5));
    for (row, ((prompt, model, environment, status), executions)) in rows.into_iter().zip(groups) {
        let model = v1::ModelRef { provider: "openai".into(), model_name: model };
        assert_eq!((row.prompt_name.as_ref(), row.model.as_ref()), (Some(&prompt), Some(&model)));
        assert_eq!((row.environment.as_ref(), row.status().as_str_name()), (Some(&environment), status));
        agree(UsageRow { prompt_name: None, model: None, environment: None, status: None, ..row }, executions);
    }
}

#[tokio::test]
async fn what_ended_in_whatever_way_and_what_has_not_make_up_the_count() {
    let (ledger, model) = ledger_with_model().await;
    ledger.carry(vec![carried("greet", "hello")]).await;
    let gate = Gate::new();
    model.next(Reply::answer("late").held(&gate));
    let late = ledger.submit_code(spec("greet", &[])).await;
    model.wait_for_calls(1).await;
    model.next(Reply::hang());
    let canceled = ledger.submit_code(spec("greet", &[])).await;
    model.wait_for_calls(2).await;
    let cancel = v1::CancelExecutionRequest { execution_id: canceled.clone(), reason: String::new() };
    ledger.executions().cancel_execution(cancel).await.unwrap();
    ended(&ledger, &canceled).await;
    ledger.run_code(spec("greet", &[])).await;
    model.next(Reply::status(400, "no"));
    ledger.run_code(spec("greet", &[])).await;
    use ExecutionStatus::{Canceled, Failed, Running, Succeeded};
    let stand = async |rows: &[(ExecutionStatus, i64)], [succeeded, failed, canceled, unfinished]: [i64; 4]| {
        let executions = all(&ledger).await;
        let told = overview(&ledger, v1::GetPromptAnalyticsRequest::default()).await;
        let (summary, mode) = (told.summary.unwrap(), &told.by_mode[1]);
        assert_eq!((summary.succeeded, summary.failed), (succeeded, failed));
        assert_eq!((summary.canceled, summary.unfinished, summary.total_executions), (canceled, unfinished, 4));
        sums_agree(&summary, &executions.iter().collect::<Vec<_>>());
        agree(of_mode(mode), &executions);
        let found = usage(&ledger, by(&[UsageDimension::Status])).await;
        assert_eq!(found.iter().map(|row| (row.status(), row.execution_count)).collect::<Vec<_>>(), rows);
        for row in found {
            let status = row.status();
            agree(UsageRow { status: None, ..row }, executions.iter().filter(|one| one.status() == status));
        }
    };
    stand(&[(Canceled, 1), (Failed, 1), (Running, 1), (Succeeded, 1)], [1, 1, 1, 1]).await;
    gate.open();
    ended(&ledger, &late).await;
    stand(&[(Canceled, 1), (Failed, 1), (Succeeded, 2)], [2, 1, 1, 0]).await;
}

#[tokio::test]
async fn executions_count_under_the_mode_that_their_prompt_had() {
    let (ledger, _model) = ledger_with_model().await;
    ledger.active("greet", "hello").await;
    ledger.run(spec("greet", &[])).await;
    let mode = PromptMode::Tracking.into();
    let moved = v1::MigratePromptModeRequest {
        name: "greet".into(),
        mode,
        etag: None,
        ..v1::MigratePromptModeRequest::default()
    };
    ledger.registry().migrate_prompt_mode(moved).await.unwrap();
    ledger.run_code(spec("greet", &[])).await;
    let told = overview(&ledger, v1::GetPromptAnalyticsRequest::default()).await;
    assert_eq!(told.by_mode.iter().map(|mode| mode.execution_count).collect::<Vec<_>>(), [1, 1]);
    let summary = told.summary.unwrap();
    assert_eq!((summary.full_mode_prompts, summary.tracking_mode_prompts), (0, 1));
    let split = by(&[UsageDimension::Mode, UsageDimension::Prompt]);
    for (mode, rows) in [
        (PromptMode::Unspecified, vec![PromptMode::Full, PromptMode::Tracking]),
        (PromptMode::Full, vec![PromptMode::Full]),
        (PromptMode::Tracking, vec![PromptMode::Tracking]),
    ] {
        let filters = Some(v1::UsageFilters { mode: mode.into(), ..Default::default() });
        let found = usage(&ledger, v1::QueryUsageRequest { filters, ..split.clone() }).await;
        let found: Vec<_> = found.iter().map(|row| (row.mode(), row.prompt_name(), row.execution_count)).collect();
        assert_eq!(found, rows.into_iter().map(|mode| (mode, "greet", 1)).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn percentiles_are_those_of_the_latencies_that_were_told() {
    let (ledger, model) = ledger_with_model().await;
    ledger.carry(vec![carried("greet", "hello")]).await;
    for step in 0..20 {
        // The last two take so much longer that no pause of a busy machine makes them equal.
        let delay = match step {
            18 => 2_000,
            19 => 8_000,
            _ => 30 * step,
        };
        model.next(Reply::answer("x").delay(Duration::from_millis(delay)));
    }
    let ran = join_all((0..20).map(|_| ledger.run_code(spec("greet", &[])))).await;
    let exact = recount(&ran);
    assert!(exact.p50_latency_ms < exact.p95_latency_ms && exact.p95_latency_ms < exact.p99_latency_ms, "{exact:?}");
    let told = overview(&ledger, v1::GetPromptAnalyticsRequest::default()).await;
    agree(of_mode(&told.by_mode[1]), &ran);
    let row = usage(&ledger, by(&[UsageDimension::Prompt])).await.remove(0);
    agree(UsageRow { prompt_name: None, ..row }, &ran);
}
