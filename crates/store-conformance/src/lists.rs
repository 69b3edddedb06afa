//! Lists of executions.

use std::collections::BTreeMap;

use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::execution::{ErrorType, ExecutionMode, Failure, Status};
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_store::{ExecutionFilter, ExecutionReader, ExecutionWriter, Finish, NewExecution};

use crate::kit::{
    Backend, a_new_execution, an_execution, execution_of, fence, finish, get, listed, new_id, put, put_active,
    register, run, start, submit, success,
};

/// Running executions of `greet`, oldest first.
async fn several<B: Backend>(backend: &B, count: usize) -> Vec<NewExecution> {
    let first = an_execution(backend).await;
    let mut all = Vec::new();
    for _ in 0..count {
        let new = NewExecution { id: ExecutionId(new_id()), ..first.clone() };
        start(backend, &new).await;
        all.push(new);
    }
    all
}

/// The ids of all pages.
async fn pages<B: Backend>(backend: &B, filter: &ExecutionFilter, size: usize) -> Vec<ExecutionId> {
    let project = backend.default_project().await;
    let (mut ids, mut before) = (Vec::new(), None);
    loop {
        let page = backend.store().list(project, filter, before, size, false).await.unwrap().rows;
        let Some(last) = page.last() else { return ids };
        before = Some((last.created_at, last.id));
        ids.extend(page.iter().map(|execution| execution.id));
    }
}

fn newest_first(all: &[NewExecution]) -> Vec<ExecutionId> {
    all.iter().rev().map(|new| new.id).collect()
}

pub async fn executions_are_paged_newest_first<B: Backend>(backend: &B) {
    let all = several(backend, 7).await;
    for filter in [
        ExecutionFilter::default(),
        ExecutionFilter { prompt_name: "greet".into(), ..Default::default() },
        ExecutionFilter { prompt_name: "greet".into(), version_number: Some(1), ..Default::default() },
        ExecutionFilter { statuses: vec![Status::Running, Status::Queued], ..Default::default() },
    ] {
        assert_eq!(pages(backend, &filter, 3).await, newest_first(&all), "{filter:?}");
    }
}

pub async fn executions_of_one_moment_are_paged_by_id<B: Backend>(backend: &B) {
    let all = several(backend, 7).await;
    let at = B::timestamp(5_000);
    backend.execute(format!("UPDATE executions SET created_at = {at}")).await.unwrap();
    let prompt = ExecutionFilter { prompt_name: "greet".into(), ..Default::default() };
    for filter in [ExecutionFilter::default(), prompt] {
        assert_eq!(pages(backend, &filter, 2).await, newest_first(&all));
    }
}

pub async fn every_filter_leaves_the_right_ones<B: Backend>(backend: &B) {
    let project = backend.default_project().await;
    let greet = register(backend, put_active("greet", "A")).await;
    let second = register(backend, put("greet", "B")).await;
    let other = register(backend, put_active("other", "A")).await;
    let named = |put| NewExecution { must_be_active: false, ..execution_of(project, put) };
    let first = NewExecution { correlation_id: "order-7".into(), ..named(&greet) };
    let prod = NewExecution { environment: "prod".into(), correlation_id: "order-7".into(), ..named(&second) };
    let elsewhere = named(&other);
    run(backend, &first).await;
    start(backend, &prod).await;
    start(backend, &elsewhere).await;
    let failed = Finish { status: Status::Failed, ..success() };
    backend.store().finish(fence(elsewhere.id, 1), failed).await.unwrap();

    let base = ExecutionFilter::default;
    let greeting = || ExecutionFilter { prompt_name: "greet".into(), ..base() };
    let cases = [
        (base(), vec![elsewhere.id, prod.id, first.id]),
        (greeting(), vec![prod.id, first.id]),
        (ExecutionFilter { version_number: Some(2), ..greeting() }, vec![prod.id]),
        (ExecutionFilter { statuses: vec![Status::Running], ..greeting() }, vec![prod.id]),
        (ExecutionFilter { statuses: vec![Status::Succeeded], ..base() }, vec![first.id]),
        (ExecutionFilter { statuses: vec![Status::Failed], ..base() }, vec![elsewhere.id]),
        (ExecutionFilter { statuses: vec![Status::Canceled], ..base() }, vec![]),
        (ExecutionFilter { environment: "prod".into(), ..base() }, vec![prod.id]),
        (ExecutionFilter { correlation_id: "order-7".into(), ..base() }, vec![prod.id, first.id]),
        (ExecutionFilter { correlation_id: "order-7".into(), version_number: Some(1), ..greeting() }, vec![first.id]),
        (ExecutionFilter { correlation_id: "order-8".into(), ..base() }, vec![]),
    ];
    for (filter, expected) in cases {
        assert_eq!(listed(backend, &filter).await, expected, "{filter:?}");
    }
}

pub async fn several_statuses_are_merged_newest_first<B: Backend>(backend: &B) {
    let all = several(backend, 6).await;
    for new in all.iter().step_by(2) {
        let failed = Finish { status: Status::Failed, ..success() };
        backend.store().finish(fence(new.id, 1), failed).await.unwrap();
    }
    let filter =
        ExecutionFilter { statuses: vec![Status::Failed, Status::Running, Status::Failed], ..Default::default() };
    assert_eq!(pages(backend, &filter, 4).await, newest_first(&all));
    let filter = ExecutionFilter { statuses: vec![Status::Succeeded, Status::Running], ..Default::default() };
    assert_eq!(pages(backend, &filter, 2).await.len(), 3);
}

pub async fn names_that_do_not_exist_show_nothing<B: Backend>(backend: &B) {
    several(backend, 1).await;
    let nobody = ExecutionFilter { prompt_name: "nobody".into(), ..Default::default() };
    let never = ExecutionFilter { prompt_name: "greet".into(), version_number: Some(9), ..Default::default() };
    assert_eq!(listed(backend, &nobody).await, []);
    assert_eq!(listed(backend, &never).await, []);
}

pub async fn texts_come_when_asked_for<B: Backend>(backend: &B) {
    let new = an_execution(backend).await;
    let done = run(backend, &new).await;
    for prompt_name in ["", "greet"] {
        let filter = ExecutionFilter { prompt_name: prompt_name.into(), ..Default::default() };
        let full = backend.store().list(new.project_id, &filter, None, 9, true).await.unwrap().rows;
        let basic = backend.store().list(new.project_id, &filter, None, 9, false).await.unwrap().rows;
        assert_eq!((&full[0].texts, &basic[0].texts), (&done.texts, &None));
        assert!(full[0].attempt_log.is_empty());
        assert_eq!(full[0].usage, done.usage);
    }
}

pub async fn times_bound_a_list_from_inclusive_to_exclusive<B: Backend>(backend: &B) {
    let all = several(backend, 3).await;
    for (new, at) in all.iter().zip([1_000, 2_000, 3_000]) {
        let at = B::timestamp(at);
        let sql = format!("UPDATE executions SET created_at = {at} WHERE id = '{}'", new.id);
        backend.execute(sql).await.unwrap();
    }
    let between = |start: Option<i64>, end: Option<i64>| ExecutionFilter {
        start_time: start.map(Timestamp),
        end_time: end.map(Timestamp),
        ..Default::default()
    };
    assert_eq!(listed(backend, &between(Some(2_000), None)).await, newest_first(&all[1..]));
    assert_eq!(listed(backend, &between(None, Some(2_000))).await, newest_first(&all[..1]));
    assert_eq!(listed(backend, &between(Some(2_000), Some(3_000))).await, newest_first(&all[1..2]));
    assert_eq!(listed(backend, &between(Some(3_000), Some(1_000))).await, []);
}

pub async fn executions_are_filtered_by_what_they_were_recorded_with<B: Backend>(backend: &B) {
    let entries = |entries: &[(&str, &str)]| -> BTreeMap<String, String> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let first = an_execution(backend).await;
    let new = |metadata: &[(&str, &str)]| NewExecution { metadata: entries(metadata), ..a_new_execution(&first) };
    let plain = NewExecution { label: "active".into(), ..new(&[]) };
    let ada = NewExecution { model: of("openai", "gpt-4o"), ..new(&[("user", "ada"), ("session", "1")]) };
    let eve = NewExecution { model: of("openai", "o3"), ..new(&[("user", "eve"), ("session", "1")]) };
    for new in [&plain, &ada] {
        start(backend, new).await;
    }
    submit(backend, &eve).await;
    let failure = Some(Failure { error_type: ErrorType::Timeout, message: "late".into() });
    finish(backend, &ada, 1, Finish { status: Status::Failed, failure, ..success() }).await;
    let read = get(backend, &ada).await;
    assert_eq!((&read.metadata, &get(backend, &plain).await.metadata), (&ada.metadata, &BTreeMap::new()));
    let base = ExecutionFilter::default;
    let with = |metadata: &[(&str, &str)]| ExecutionFilter { metadata: entries(metadata), ..base() };
    for (filter, expected) in [
        (with(&[("user", "ada")]), vec![ada.id]),
        (with(&[("session", "1")]), vec![eve.id, ada.id]),
        (with(&[("session", "1"), ("user", "eve")]), vec![eve.id]),
        (with(&[("session", "2")]), vec![]),
        (with(&[("ada", "user")]), vec![]),
        (ExecutionFilter { statuses: vec![Status::Queued], ..with(&[("session", "1")]) }, vec![eve.id]),
        (ExecutionFilter { prompt_name: "greet".into(), ..with(&[("user", "ada")]) }, vec![ada.id]),
        (ExecutionFilter { label: "active".into(), ..base() }, vec![plain.id]),
        (ExecutionFilter { provider: "openai".into(), ..base() }, vec![eve.id, ada.id]),
        (ExecutionFilter { provider: "openai".into(), model_name: "o3".into(), ..base() }, vec![eve.id]),
        (ExecutionFilter { error_type: "timeout".into(), ..base() }, vec![ada.id]),
        (ExecutionFilter { mode: Some(ExecutionMode::Async), ..base() }, vec![eve.id]),
        (ExecutionFilter { mode: Some(ExecutionMode::Sync), ..base() }, vec![ada.id, plain.id]),
    ] {
        assert_eq!(listed(backend, &filter).await, expected, "{filter:?}");
    }
    assert_eq!(backend.count("SELECT count(*) FROM execution_metadata").await, 4);
}

fn of(provider: &str, model_name: &str) -> ModelRef {
    ModelRef { provider: provider.into(), model_name: model_name.into() }
}
