//! Usage figures.

use std::collections::BTreeMap;
use std::time::Duration;

use prompt_ledger_domain::execution::Status;
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::usage::{Bucket, UtcOffset};
use prompt_ledger_domain::{Timestamp, VariantArray as _};
use prompt_ledger_store::{
    Access, Analytics, Ended, ExecutionWriter, Finish, NewExecution, PromptChange, PromptCounts, Registry, Split,
    UsageFilter,
};

use crate::kit::{
    Backend, ChangePrompt, an_execution, execution_of, fence, new_id, put, put_active, register, run, start, success,
    usage,
};
use crate::recount::{all, assert_recounted, figures};

/// No grouping.
pub const BY_NOTHING: Split = Split {
    bucket: None,
    utc_offset: UtcOffset::UTC,
    mode: false,
    prompt: false,
    version: false,
    model: false,
    environment: false,
    status: false,
};

/// All groupings at once.
pub const BY_ALL: Split = Split {
    bucket: Some(Bucket::Minute),
    utc_offset: UtcOffset::UTC,
    mode: true,
    prompt: true,
    version: true,
    model: true,
    environment: true,
    status: true,
};

/// Runs executions of two prompts, three versions, two models and two environments; one is left running.
async fn several<B: Backend>(backend: &B) {
    let project = backend.default_project().await;
    let greet = register(backend, put_active("greet", "A")).await;
    let second = register(backend, put("greet", "B")).await;
    let other = register(backend, put_active("Other", "A")).await;
    for (at, version) in [&greet, &greet, &second, &other, &other, &other, &greet].into_iter().enumerate() {
        let model = ModelRef { provider: "openai".into(), model_name: if at % 2 == 0 { "a" } else { "b" }.into() };
        let environment = if at % 3 == 0 { "prod" } else { "dev" }.into();
        let new = NewExecution { must_be_active: false, model, environment, ..execution_of(project, version) };
        start(backend, &new).await;
        let status = [Status::Succeeded, Status::Failed, Status::Canceled][at % 3];
        if at < 6 {
            backend.store().finish(fence(new.id, 1), Finish { status, ..success() }).await.unwrap();
        }
        let at = B::timestamp(moment(i64::try_from(at).unwrap()));
        backend.execute(format!("UPDATE executions SET created_at = {at} WHERE id = '{}'", new.id)).await.unwrap();
    }
}

/// Creation times 40 minutes apart.
fn moment(place: i64) -> i64 {
    1_700_000_000_000_000 + place * 40 * 60_000_000
}

fn splits() -> Vec<Split> {
    let mut splits = vec![BY_NOTHING, BY_ALL];
    for bucket in Bucket::VARIANTS {
        for minutes in [0, 120, -210, 345] {
            let utc_offset = UtcOffset::from_minutes(minutes).unwrap();
            splits.push(Split { bucket: Some(*bucket), utc_offset, ..BY_NOTHING });
        }
    }
    splits.push(Split { mode: true, ..BY_NOTHING });
    splits.push(Split { prompt: true, ..BY_NOTHING });
    splits.push(Split { version: true, ..BY_NOTHING });
    splits.push(Split { model: true, ..BY_NOTHING });
    splits.push(Split { environment: true, ..BY_NOTHING });
    splits.push(Split { status: true, ..BY_NOTHING });
    splits
}

pub async fn a_ledger_without_executions_has_no_figures<B: Backend>(backend: &B) {
    let project = backend.default_project().await;
    for split in splits() {
        assert_eq!(figures(backend, project, &UsageFilter::default(), split, 9).await, []);
    }
    let overview = backend.store().overview(project, &UsageFilter::default()).await.unwrap();
    assert_eq!(overview, (PromptCounts::default(), vec![]));
}

pub async fn every_split_is_a_recount_of_the_executions<B: Backend>(backend: &B) {
    several(backend).await;
    let project = backend.default_project().await;
    let executions = all(backend, project).await;
    for until in [0, 3, 9] {
        backend.roll_up_until(Timestamp(moment(until)), 1_000).await;
        for split in splits() {
            let found = figures(backend, project, &UsageFilter::default(), split, 100).await;
            assert_recounted(&found, &executions, &UsageFilter::default(), split);
        }
    }
}

pub async fn every_page_size_shows_every_row_once_in_order<B: Backend>(backend: &B) {
    several(backend).await;
    let project = backend.default_project().await;
    backend.roll_up_until(Timestamp(moment(4)), 1_000).await;
    for split in splits() {
        let whole = figures(backend, project, &UsageFilter::default(), split, 100).await;
        for size in 1..=whole.len() + 1 {
            assert_eq!(
                figures(backend, project, &UsageFilter::default(), split, size).await,
                whole,
                "{split:?} {size}"
            );
        }
    }
}

pub async fn each_versions_executions_are_counted<B: Backend>(backend: &B) {
    several(backend).await;
    let project = backend.default_project().await;
    let counts = async |name: &str, first, versions| {
        let counts = backend.store().version_counts(project, name, first, versions).await.unwrap();
        counts.into_iter().collect::<BTreeMap<_, _>>()
    };
    for until in [0, 3, 9] {
        backend.roll_up_until(Timestamp(moment(until)), 1_000).await;
        assert_eq!(counts("greet", 1, 9).await, [(1, 3), (2, 1)].into());
        assert_eq!(counts("greet", 2, 9).await, [(2, 1)].into());
        assert_eq!(counts("greet", 1, 1).await, [(1, 3)].into());
        assert_eq!(counts("greet", 3, 9).await, [].into());
        assert_eq!(counts("nobody", 1, 9).await, [].into());
        let elsewhere = backend.store().version_counts(ProjectId(new_id()), "greet", 1, 9).await.unwrap();
        assert!(elsewhere.is_empty());
    }
}

pub async fn every_usage_filter_leaves_the_right_ones<B: Backend>(backend: &B) {
    several(backend).await;
    let project = backend.default_project().await;
    let executions = all(backend, project).await;
    let any = UsageFilter::default;
    let greet = || UsageFilter { prompt_name: "greet".into(), ..any() };
    let second = Timestamp(moment(1));
    let filters = [
        (any(), 7),
        (UsageFilter { mode: Some(Mode::Full), ..any() }, 7),
        (UsageFilter { mode: Some(Mode::Tracking), ..any() }, 0),
        (greet(), 4),
        (UsageFilter { version_number: Some(2), ..greet() }, 1),
        (UsageFilter { version_number: Some(9), ..greet() }, 0),
        (UsageFilter { prompt_name: "other".into(), ..any() }, 0),
        (UsageFilter { provider: "openai".into(), ..any() }, 7),
        (UsageFilter { provider: "openai".into(), model: "a".into(), ..greet() }, 3),
        (UsageFilter { provider: "absent".into(), ..any() }, 0),
        (UsageFilter { environment: "prod".into(), ..any() }, 3),
        (UsageFilter { environment: "no\0body".into(), ..any() }, 0),
        (UsageFilter { start_time: Some(second), ..any() }, 6),
        (UsageFilter { end_time: Some(second), ..any() }, 1),
        (UsageFilter { end_time: Some(Timestamp(second.0 + 1)), ..any() }, 2),
        (UsageFilter { start_time: Some(second), end_time: Some(second), ..any() }, 0),
        (UsageFilter { start_time: Some(Timestamp(i64::MIN)), end_time: Some(Timestamp(i64::MAX)), ..any() }, 7),
    ];
    for until in [0, 3, 9] {
        backend.roll_up_until(Timestamp(moment(until)), 1_000).await;
        for (filter, count) in &filters {
            for split in [BY_NOTHING, BY_ALL] {
                let found = figures(backend, project, filter, split, 100).await;
                assert_eq!(found.iter().map(|row| row.tally.executions).sum::<i64>(), *count, "{filter:?}");
                assert_recounted(&found, &executions, filter, split);
            }
        }
    }
}

pub async fn an_overview_is_by_mode_with_prompts_as_of_now<B: Backend>(backend: &B) {
    several(backend).await;
    let project = backend.default_project().await;
    let code = register(backend, put_active("code", "A")).await;
    register(backend, put_active("old", "A")).await;
    backend.store().change_prompt(project, "old", None, PromptChange::Archive).await.unwrap();
    run(backend, &execution_of(project, &code)).await;
    backend.execute("UPDATE prompts SET mode = 'tracking' WHERE name = 'code'".into()).await.unwrap();
    run(backend, &NewExecution { prompt_mode: Mode::Tracking, ..execution_of(project, &code) }).await;
    let (prompts, modes) = backend.store().overview(project, &UsageFilter::default()).await.unwrap();
    assert_eq!(prompts, PromptCounts { full: 2, tracking: 1, archived_full: 1, archived_tracking: 0 });
    let counts: Vec<_> = modes.iter().map(|row| (row.key.mode, row.tally.executions, row.unfinished())).collect();
    assert_eq!(counts, [(Some(Mode::Full), 8, 1), (Some(Mode::Tracking), 1, 0)], "the mode is the execution's own");
}

pub async fn another_projects_executions_do_not_count<B: Backend>(backend: &B) {
    several(backend).await;
    let project = backend.store().create_project(ProjectId(new_id()), "shop").await.unwrap();
    backend.store().put_prompt(project.id, put_active("greet", "A")).await.unwrap();
    for until in [0, 9] {
        backend.roll_up_until(Timestamp(moment(until)), 1_000).await;
        for split in splits() {
            assert_eq!(figures(backend, project.id, &UsageFilter::default(), split, 9).await, []);
        }
    }
}

pub async fn what_was_not_told_is_absent_and_counted<B: Backend>(backend: &B) {
    let first = an_execution(backend).await;
    let project = first.project_id;
    let silent = Finish { ended: Ended::default(), cost_nano_usd: None, ..success() };
    start(backend, &first).await;
    backend.store().finish(fence(first.id, 1), silent).await.unwrap();
    let one = |rows: Vec<prompt_ledger_store::UsageRow>| rows.into_iter().next().unwrap().tally;
    let tally = one(figures(backend, project, &UsageFilter::default(), BY_NOTHING, 9).await);
    assert_eq!((tally.executions, tally.with_cost, tally.cost_nano_usd(), tally.average_latency()), (1, 0, None, None));
    let ended = |latency| Ended { usage: usage(i32::MAX, 0, 3), latency: Some(latency), ..success().ended };
    for (latency, cost) in [(Duration::from_millis(100), i64::MAX), (Duration::MAX, i64::MAX)] {
        let new = NewExecution { id: ExecutionId(new_id()), ..first.clone() };
        start(backend, &new).await;
        let finish = Finish { ended: ended(latency), cost_nano_usd: Some(cost), ..success() };
        backend.store().finish(fence(new.id, 1), finish).await.unwrap();
    }
    let at = B::timestamp(moment(0));
    backend.execute(format!("UPDATE executions SET created_at = {at}")).await.unwrap();
    for until in [0, 1] {
        backend.roll_up_until(Timestamp(moment(until)), 1_000).await;
        let tally = one(figures(backend, project, &UsageFilter::default(), BY_NOTHING, 9).await);
        assert_eq!((tally.executions, tally.with_cost, tally.cost), (3, 2, 2 * i128::from(i64::MAX)));
        assert_eq!((tally.prompt_tokens, tally.response_tokens), (2 * i64::from(i32::MAX), 6));
        assert_eq!(tally.average_latency(), Some((100.0 + f64::from(i32::MAX)) / 2.0));
    }
}
