//! What processes tell of themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use prompt_ledger_domain::provider::{ProviderKind, ProviderTraits};
use prompt_ledger_store::{
    ExecutionReader, KNOWN_FOR, LIVE_FOR, Maintenance, ProcessKind, ProcessRecord, Processes, SUPERSEDED_FOR,
    SeenProcess,
};

use crate::kit::{Backend, now};

const MINUTE: Duration = Duration::from_secs(60);

fn process(id: &str, kind: ProcessKind, providers: &[&str]) -> ProcessRecord {
    let traits = ProviderTraits { kind: Some(ProviderKind::OpenAi), is_own_place: true };
    let providers = providers.iter().map(|name| ((*name).to_owned(), traits)).collect();
    ProcessRecord { id: id.into(), kind, providers, release: "1.2.3".into() }
}

async fn seen<B: Backend>(backend: &B) -> Vec<SeenProcess> {
    backend.store().processes().await.unwrap()
}

async fn ids<B: Backend>(backend: &B) -> Vec<String> {
    seen(backend).await.into_iter().map(|process| process.id).collect()
}

/// Announces the process, and sets when that was.
async fn announced_before<B: Backend>(backend: &B, process: &ProcessRecord, age: Duration) {
    backend.store().announce(process).await.unwrap();
    let at = B::timestamp(now().0 - i64::try_from(age.as_micros()).unwrap());
    backend.execute(format!("UPDATE processes SET seen_at = {at} WHERE id = '{}'", process.id)).await.unwrap();
}

pub async fn what_a_process_told_is_listed_until_it_tells_otherwise<B: Backend>(backend: &B) {
    assert_eq!(seen(backend).await, []);
    let server = process("s", ProcessKind::Server, &[]);
    announced_before(backend, &server, MINUTE).await;
    let mut worker = process("w", ProcessKind::Worker, &["azure", "vllm"]);
    let maker = ProviderTraits { kind: Some(ProviderKind::Anthropic), is_own_place: false };
    worker.providers.insert("anthropic".into(), maker);
    backend.store().announce(&worker).await.unwrap();
    let [latest, earlier] = seen(backend).await.try_into().unwrap();
    assert_eq!((&latest.id, latest.takes_queued, &latest.providers), (&worker.id, true, &worker.providers));
    assert_eq!((&*latest.release, latest.has_left), ("1.2.3", false));
    assert!(latest.age < MINUTE, "{latest:?}");
    assert_eq!((&earlier.id, earlier.takes_queued, &earlier.providers), (&server.id, false, &BTreeMap::new()));
    assert!((MINUTE..2 * MINUTE).contains(&earlier.age), "{earlier:?}");

    let changed = ProcessRecord { release: "2".into(), ..process("s", ProcessKind::Dev, &["x"]) };
    backend.store().announce(&changed).await.unwrap();
    let told = seen(backend).await;
    assert_eq!((told.len(), &told[0].providers, &*told[0].release), (2, &changed.providers, "2"));
    assert!(told[0].takes_queued && told[0].age < MINUTE, "{told:?}");
}

pub async fn one_that_left_stays_known_and_comes_back<B: Backend>(backend: &B) {
    let worker = process("w", ProcessKind::Worker, &["azure"]);
    backend.store().announce(&worker).await.unwrap();
    backend.store().leave("another").await.unwrap();
    assert!(!seen(backend).await[0].has_left);
    backend.store().leave("w").await.unwrap();
    backend.store().forget_processes().await.unwrap();
    let left = seen(backend).await;
    assert_eq!((left.len(), left[0].has_left, &left[0].providers), (1, true, &worker.providers));
    backend.store().announce(&worker).await.unwrap();
    assert!(!seen(backend).await[0].has_left);
}

pub async fn what_was_told_counts_for_a_day<B: Backend>(backend: &B) {
    for (id, age) in [("now", Duration::ZERO), ("today", KNOWN_FOR - MINUTE), ("yesterday", KNOWN_FOR + MINUTE)] {
        announced_before(backend, &process(id, ProcessKind::Worker, &[id]), age).await;
    }
    assert_eq!(ids(backend).await, ["now", "today"], "also before it is deleted");
    backend.store().forget_processes().await.unwrap();
    assert_eq!(ids(backend).await, ["now", "today"]);
    assert_eq!(backend.count("SELECT count(*) FROM processes").await, 2);
}

pub async fn servers_that_run_come_with_the_length_of_the_queue<B: Backend>(backend: &B) {
    let servers = async || backend.store().queued(9).await.unwrap().servers;
    // Only a database that is a server has several.
    let expected = |servers| if B::YOUTH { servers } else { 1 };
    assert_eq!(servers().await, expected(0));
    for (id, kind, age) in [
        ("one", ProcessKind::Server, Duration::ZERO),
        ("two", ProcessKind::Server, LIVE_FOR / 2),
        ("silent", ProcessKind::Server, LIVE_FOR * 2),
        ("worker", ProcessKind::Worker, Duration::ZERO),
    ] {
        announced_before(backend, &process(id, kind, &[]), age).await;
    }
    assert_eq!(servers().await, expected(2));
    backend.store().leave("one").await.unwrap();
    assert_eq!(servers().await, expected(1));
}

pub async fn what_another_told_since_is_not_kept_twice<B: Backend>(backend: &B) {
    let old = SUPERSEDED_FOR + MINUTE;
    for (id, kind, providers, age) in [
        ("first", ProcessKind::Worker, ["azure"], 2 * old),
        ("second", ProcessKind::Worker, ["azure"], old),
        ("other kind", ProcessKind::Server, ["azure"], 2 * old),
        ("other provider", ProcessKind::Worker, ["vllm"], 2 * old),
        ("young", ProcessKind::Worker, ["azure"], MINUTE),
        ("youngest", ProcessKind::Worker, ["azure"], Duration::ZERO),
    ] {
        announced_before(backend, &process(id, kind, &providers), age).await;
    }
    backend.store().forget_processes().await.unwrap();
    let mut left = ids(backend).await;
    left.sort();
    assert_eq!(left, ["other kind", "other provider", "young", "youngest"]);
}

pub async fn what_a_later_release_tells_is_read_as_far_as_it_is_known<B: Backend>(backend: &B) {
    backend.store().announce(&process("later", ProcessKind::Worker, &[])).await.unwrap();
    let providers = r#"{"sung":{"kind":"song","own_place":true,"loud":true}}"#;
    backend.execute(format!("UPDATE processes SET kind = 'choir', providers = '{providers}'")).await.unwrap();
    let [later] = seen(backend).await.try_into().unwrap();
    assert_eq!(later.providers["sung"], ProviderTraits { kind: None, is_own_place: true });
    assert!(!later.takes_queued, "{later:?}");
}
