//! Every filter of the lists, alone and with every other: what they find, page by page, and the tables by which the tests of
//! plans go through them.

use std::collections::BTreeMap;
use std::fmt::Debug;

use futures::StreamExt as _;
use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::execution::{ErrorType, Execution, ExecutionMode, Failure, Status};
use prompt_ledger_domain::model::ModelRef;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_store::{
    ExecutionFilter, ExecutionReader, ExecutionWriter, Finish, ListPosition, NewExecution, PromptChange, PromptFilter,
    PutPrompt, Registry, Walked,
};

use crate::kit::{
    Backend, ChangePrompt, a_new_execution, an_execution, execution_of, fence, holder, providers, put, put_active,
    register, start, submit, success,
};

/// A filter's name, and how it is taken over from one that has all.
type OneFilter<F> = (&'static str, fn(&mut F, &F));

const OF_EXECUTIONS: &[OneFilter<ExecutionFilter>] = &[
    ("prompt", |to, all| to.prompt_name.clone_from(&all.prompt_name)),
    ("version", |to, all| {
        to.prompt_name.clone_from(&all.prompt_name);
        to.version_number = all.version_number;
    }),
    ("statuses", |to, all| to.statuses.clone_from(&all.statuses)),
    ("environment", |to, all| to.environment.clone_from(&all.environment)),
    ("correlation id", |to, all| to.correlation_id.clone_from(&all.correlation_id)),
    ("start", |to, all| to.start_time = all.start_time),
    ("end", |to, all| to.end_time = all.end_time),
    ("label", |to, all| to.label.clone_from(&all.label)),
    ("provider", |to, all| to.provider.clone_from(&all.provider)),
    ("model", |to, all| {
        to.provider.clone_from(&all.provider);
        to.model_name.clone_from(&all.model_name);
    }),
    ("error type", |to, all| to.error_type.clone_from(&all.error_type)),
    ("mode", |to, all| to.mode = all.mode),
    ("metadata", |to, all| to.metadata.clone_from(&all.metadata)),
];

const OF_PROMPTS: &[OneFilter<PromptFilter>] = &[
    ("mode", |to, all| to.mode = all.mode),
    ("owner team", |to, all| to.owner_team.clone_from(&all.owner_team)),
    ("name prefix", |to, all| to.name_prefix.clone_from(&all.name_prefix)),
    ("archived ones too", |to, all| to.include_archived = all.include_archived),
    ("tag", |to, all| to.tag.clone_from(&all.tag)),
    ("words", |to, all| to.words.clone_from(&all.words)),
    ("label", |to, all| to.label.clone_from(&all.label)),
];

/// No filter, each alone, and every two of them, by their names. `all` has them all, in a literal that names every field: a
/// new filter is missed by the compiler there, and here until it is in the table.
pub fn of_executions(all: &ExecutionFilter) -> Vec<(String, ExecutionFilter)> {
    combined(OF_EXECUTIONS, all)
}

/// As [`of_executions`].
pub fn of_prompts(all: &PromptFilter) -> Vec<(String, PromptFilter)> {
    combined(OF_PROMPTS, all)
}

fn combined<F: Clone + Debug + Default + PartialEq>(table: &[OneFilter<F>], all: &F) -> Vec<(String, F)> {
    let filter = |of: &[&OneFilter<F>]| {
        let mut filter = F::default();
        of.iter().for_each(|(_, take)| take(&mut filter, all));
        filter
    };
    assert_eq!(filter(&table.iter().collect::<Vec<_>>()), *all, "a filter is missing in the table");
    let mut found = vec![("none".to_owned(), F::default())];
    for (i, one) in table.iter().enumerate() {
        let alone = filter(&[one]);
        assert_ne!(alone, F::default(), "{} has no value", one.0);
        found.push((one.0.to_owned(), alone));
        let pair = |other: &OneFilter<F>| (format!("{} and {}", one.0, other.0), filter(&[one, other]));
        found.extend(table[i + 1..].iter().map(pair));
    }
    found
}

/// What the tests of plans look for: a value for each filter. Times are from 0 on.
pub fn rare() -> ExecutionFilter {
    ExecutionFilter {
        prompt_name: "p1".into(),
        version_number: Some(1),
        statuses: vec![Status::Failed],
        environment: "canary".into(),
        correlation_id: "order-7".into(),
        start_time: Some(Timestamp(0)),
        end_time: Some(Timestamp(1_000_000)),
        label: "production".into(),
        provider: "local".into(),
        model_name: "rare".into(),
        error_type: "timeout".into(),
        mode: Some(ExecutionMode::Sync),
        metadata: BTreeMap::from([("user".into(), "ada".into())]),
    }
}

/// What an execution that the filter finds was recorded with, and nothing else of [`rare`]: a JSON object.
pub fn found_by(filter: &ExecutionFilter) -> String {
    let or = |text: &str, other: &str| if text.is_empty() { other } else { text }.to_owned();
    let maybe = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let status = filter.statuses.first().copied().unwrap_or(Status::Succeeded);
    serde_json::json!({
        "prompt": or(&filter.prompt_name, "p2"),
        "version": filter.version_number.unwrap_or(2),
        "status": <&str>::from(status),
        "ended": status.is_terminal(),
        "environment": or(&filter.environment, "prod"),
        "correlation_id": maybe(&filter.correlation_id),
        "label": maybe(&filter.label),
        "provider": or(&filter.provider, "openai"),
        "model_name": or(&filter.model_name, "common"),
        "error_type": maybe(&filter.error_type),
        "mode": <&str>::from(filter.mode.unwrap_or(ExecutionMode::Async)),
        "metadata": filter.metadata,
    })
    .to_string()
}

/// Whether a filter has an index: a list by it alone finds all that there is before it has looked at enough.
pub fn has_index(names: &str) -> bool {
    !names.contains(" and ") && names != "provider"
}

fn is_in(filter: &ExecutionFilter, of: &Execution) -> bool {
    let ExecutionFilter {
        prompt_name,
        version_number,
        statuses,
        environment,
        correlation_id,
        start_time,
        end_time,
        label,
        provider,
        model_name,
        error_type,
        mode,
        metadata,
    } = filter;
    let texts = [
        (prompt_name, &*of.prompt_name),
        (environment, &*of.environment),
        (correlation_id, &*of.correlation_id),
        (label, &*of.label),
        (provider, &*of.model.provider),
        (model_name, &*of.model.model_name),
        (error_type, of.failure.as_ref().map_or("", |failure| failure.error_type.into())),
    ];
    texts.iter().all(|(wanted, found)| wanted.is_empty() || wanted == found)
        && version_number.is_none_or(|number| number == of.version_number)
        && (statuses.is_empty() || statuses.contains(&of.status))
        && start_time.is_none_or(|start| of.created_at >= start)
        && end_time.is_none_or(|end| of.created_at < end)
        && mode.is_none_or(|mode| mode == of.mode)
        && metadata.iter().all(|(key, value)| of.metadata.get(key) == Some(value))
}

/// A pseudo-random number below `sides`, the next one of `state`.
fn roll(state: &mut u64, sides: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % sides
}

/// More than a list looks at for one page.
const MANY: usize = 1_300;

/// Executions of all kinds. Some of them are unfinished.
async fn fill<B: Backend>(backend: &B) {
    let project = backend.default_project().await;
    let versions = [
        register(backend, put_active("greet", "A")).await,
        register(backend, put("greet", "B")).await,
        register(backend, put("other", "A")).await,
    ];
    let mut state = 7;
    let mut kinds = Vec::new();
    for _ in 0..MANY {
        let mut one_in = |sides| roll(&mut state, sides) == 0;
        let of = if one_in(6) { 1 } else { usize::from(one_in(2)) * 2 };
        let text = |set: bool, text: &str| if set { text.to_owned() } else { String::new() };
        let model_name = if one_in(30) { "o3" } else { "gpt-4o" };
        let model = if one_in(3) { ("echo", "echo") } else { ("openai", model_name) };
        let new = NewExecution {
            must_be_active: false,
            environment: if one_in(2) { "prod" } else { "dev" }.into(),
            correlation_id: text(one_in(20), "order-7"),
            label: text(one_in(10), "production"),
            model: ModelRef { provider: model.0.into(), model_name: model.1.into() },
            metadata: if one_in(20) { BTreeMap::from([("user".into(), "ada".into())]) } else { BTreeMap::new() },
            ..execution_of(project, &versions[of])
        };
        let failed = one_in(10);
        let failure = (failed && one_in(2)).then(|| Failure { error_type: ErrorType::Timeout, message: "late".into() });
        let status = if failed { Status::Failed } else { Status::Succeeded };
        kinds.push((new, one_in(3), (!one_in(20)).then(|| Finish { status, failure, ..success() })));
    }
    let lives = kinds.into_iter().map(|(new, queued, finish)| async move {
        if queued {
            submit(backend, &new).await;
        } else {
            start(backend, &new).await;
        }
        let Some(finish) = finish else { return };
        if queued {
            backend.store().claim(vec![fence(new.id, 1)], providers(), holder()).await.unwrap();
        }
        backend.store().finish(fence(new.id, 1), finish).await.unwrap().unwrap();
    });
    futures::stream::iter(lives).buffer_unordered(64).collect::<Vec<()>>().await;
}

/// What all pages show, and how many of them a walk ended early.
async fn paged<B: Backend>(backend: &B, filter: &ExecutionFilter, size: usize) -> (Vec<Execution>, usize) {
    let project = backend.default_project().await;
    let (mut all, mut short, mut before) = (Vec::new(), 0, None::<ListPosition>);
    loop {
        let Walked { rows, stopped } = backend.store().list(project, filter, before, size, false).await.unwrap();
        let full = rows.last().filter(|_| rows.len() == size).map(|last| (last.created_at, last.id));
        assert!(full.is_none() || stopped.is_none(), "a full page goes on after its last row");
        short += usize::from(stopped.is_some());
        all.extend(rows);
        let next = stopped.or(full);
        assert!(next.is_none() || before.is_none() || next < before, "no page begins where another did");
        before = next;
        if before.is_none() {
            return (all, short);
        }
    }
}

pub async fn every_filter_and_every_two_find_the_right_executions<B: Backend>(backend: &B) {
    fill(backend).await;
    let project = backend.default_project().await;
    let whole = backend.store().list(project, &ExecutionFilter::default(), None, 2 * MANY, false).await.unwrap();
    assert_eq!((whole.rows.len(), whole.stopped), (MANY, None));
    let time = |quarter: usize| Some(whole.rows[MANY * quarter / 4].created_at);
    let all = ExecutionFilter {
        prompt_name: "greet".into(),
        version_number: Some(2),
        statuses: vec![Status::Failed, Status::Running],
        environment: "prod".into(),
        correlation_id: "order-7".into(),
        start_time: time(3),
        end_time: time(1),
        label: "production".into(),
        provider: "openai".into(),
        model_name: "o3".into(),
        error_type: "timeout".into(),
        mode: Some(ExecutionMode::Async),
        metadata: BTreeMap::from([("user".into(), "ada".into())]),
    };
    for (names, filter) in of_executions(&all) {
        let (found, _) = paged(backend, &filter, 100).await;
        let expected: Vec<_> = whole.rows.iter().filter(|row| is_in(&filter, row)).collect();
        assert!(found.iter().eq(expected.iter().copied()), "{names}: {} of {}", found.len(), expected.len());
    }
}

pub async fn a_list_that_finds_little_says_where_it_stopped<B: Backend>(backend: &B) {
    let first = an_execution(backend).await;
    let project = backend.default_project().await;
    let other = ModelRef { provider: "openai".into(), model_name: "o3".into() };
    start(backend, &NewExecution { model: other, ..first.clone() }).await;
    let rest: Vec<_> = (1..MANY).map(|_| a_new_execution(&first)).collect();
    futures::stream::iter(rest.iter().map(|new| start(backend, new))).buffer_unordered(64).collect::<Vec<_>>().await;
    // No index has a provider without a model.
    let filter = ExecutionFilter { provider: "openai".into(), ..ExecutionFilter::default() };
    let page = backend.store().list(project, &filter, None, 10, false).await.unwrap();
    assert_eq!(page.rows, []);
    assert!(page.stopped.is_some());
    let rest = backend.store().list(project, &filter, page.stopped, 10, false).await.unwrap();
    assert_eq!(rest.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [first.id]);
    let (found, short) = paged(backend, &filter, 10).await;
    assert_eq!((found.len(), short), (1, 1));
}

/// What all pages show, by name.
async fn paged_prompts<B: Backend>(backend: &B, filter: &PromptFilter, size: usize) -> (Vec<String>, usize) {
    let project = backend.default_project().await;
    let (mut all, mut short, mut after) = (Vec::new(), 0, None::<String>);
    loop {
        let page = backend.store().prompts(project, filter, after.as_deref(), size).await.unwrap().0;
        let full = page.rows.last().filter(|_| page.rows.len() == size).map(|last| last.prompt.name.clone());
        short += usize::from(page.stopped.is_some());
        all.extend(page.rows.into_iter().map(|found| found.prompt.name));
        after = page.stopped.or(full);
        if after.is_none() {
            return (all, short);
        }
    }
}

pub async fn every_filter_and_every_two_find_the_right_prompts<B: Backend>(backend: &B) {
    let project = backend.default_project().await;
    let prefixes = ["mail.", "chat."];
    let mut expected = Vec::new();
    for i in 0..128_u32 {
        let has = |bit: u32| i >> bit & 1 == 1;
        let name = format!("{}{i:03}", prefixes[usize::from(!has(0))]);
        let tags = if has(1) { vec!["a".into(), "b".into()] } else { vec!["ab".into()] };
        let put = PutPrompt {
            owner_team: Some(if has(2) { "growth" } else { "Growth" }.into()),
            tags: Some(tags),
            description: Some(if has(3) { "Says Grüße in the MORNING" } else { "says grÜsse in the MORNING" }.into()),
            labels: if has(4) { vec!["production".into()] } else { vec!["eu".into()] },
            ..put_active(&name, "A")
        };
        register(backend, put).await;
        if has(5) {
            let change = PromptChange::Migrate(Mode::Tracking);
            backend.store().change_prompt(project, &name, None, change).await.unwrap();
        }
        if has(6) {
            backend.store().change_prompt(project, &name, None, PromptChange::Archive).await.unwrap();
        }
        expected.push((name, i));
    }
    expected.sort_unstable();
    let all = PromptFilter {
        mode: Some(Mode::Tracking),
        owner_team: "growth".into(),
        name_prefix: "mail.".into(),
        include_archived: true,
        tag: "a".into(),
        words: vec!["SAYS".into(), "grüße".into(), "morning".into()],
        label: "production".into(),
    };
    for (names, filter) in of_prompts(&all) {
        // `Grüße`: the letters A to Z match in either case.
        let wanted = [
            !filter.name_prefix.is_empty(),
            !filter.tag.is_empty(),
            !filter.owner_team.is_empty(),
            !filter.words.is_empty(),
            !filter.label.is_empty(),
            filter.mode.is_some(),
        ];
        let matches = |i: u32| {
            let has = |bit: u32| i >> bit & 1 == 1;
            (0..).zip(wanted).all(|(bit, wanted)| !wanted || has(bit)) && (filter.include_archived || !has(6))
        };
        let expected: Vec<_> = expected.iter().filter(|(_, i)| matches(*i)).map(|(name, _)| name.clone()).collect();
        assert_eq!(paged_prompts(backend, &filter, 9).await.0, expected, "{names}");
    }
}

pub async fn a_list_of_prompts_that_finds_little_says_where_it_stopped<B: Backend>(backend: &B) {
    let project = backend.default_project().await;
    let last = register(backend, PutPrompt { tags: Some(vec!["rare".into()]), ..put("z", "A") }).await;
    let row = |n: usize| {
        format!(
            "('00000000-0000-4000-8000-{n:012}', 'p{n}', '[]', (SELECT id FROM projects WHERE name = 'default'), 'full', \
                 '', '', 0, 1, {at}, {at})",
            at = B::timestamp(0)
        )
    };
    let rows: Vec<_> = (0..MANY).map(row).collect();
    let columns = "id, name, tags, project_id, mode, description, owner_team, latest_version_number, revision, \
                   created_at, updated_at";
    backend.execute(format!("INSERT INTO prompts ({columns}) VALUES {}", rows.join(", "))).await.unwrap();
    let filter = PromptFilter { tag: "rare".into(), ..PromptFilter::default() };
    let (page, _) = backend.store().prompts(project, &filter, None, 10).await.unwrap();
    assert_eq!(page.rows, []);
    assert!(page.stopped.is_some_and(|stopped| stopped < last.prompt.name));
    assert_eq!(paged_prompts(backend, &filter, 10).await, (vec!["z".to_owned()], 1));
}
