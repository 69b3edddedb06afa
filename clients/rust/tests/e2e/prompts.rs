//! Prompts in memory, fed by a server that may go away.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use prompt_ledger_client::{CacheFileError, Client, Options, PromptCache, v1};
use prompt_ledger_testkit::fake_model::FakeModel;
use prompt_ledger_testkit::ledger::{Builder, DEVELOPMENT_KEY, Ledger, built_binary, put, server};
use prompt_ledger_testkit::poll;
use prompt_ledger_testkit::prompt_writes::PromptWriter;
use prompt_ledger_testkit::services::Proxy;

use super::{client, options};

const WAIT_LIMIT: Duration = Duration::from_secs(30);

/// A server whose streams tell often how far they are.
fn ledger() -> Builder {
    server(built_binary()).env("STREAM_HEARTBEAT", "200ms")
}

fn text(version: &v1::PromptVersion) -> &str {
    match &version.template {
        Some(v1::prompt_version::Template::TemplateSource(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// The text of a version that a cache has.
fn got(cache: &PromptCache, name: &str, label: Option<&str>) -> Option<String> {
    cache.get(name, label).map(|version| text(&version).to_owned())
}

async fn labelled(ledger: &Ledger, name: &str, text: &str, label: &str) -> i64 {
    let request = v1::PutPromptRequest { labels: vec![label.into()], ..put(name, text) };
    ledger.registry().put_prompt(request).await.unwrap().into_inner().revision
}

async fn settled(writer: &PromptWriter, ledger: &Ledger, cache: &PromptCache) {
    let prompt = |name: &str| cache.prompt(name).map(|prompt| (*prompt).clone());
    let version = |name: &str, label: Option<&str>| cache.get(name, label).map(|version| (*version).clone());
    writer.settled(ledger, async |revision| cache.reached(revision).await.unwrap(), prompt, version).await;
}

/// Waits until the cache is fed.
async fn fed(cache: &PromptCache) {
    poll::eventually("the cache to be fed", WAIT_LIMIT, async || match cache.stale_since() {
        None => Ok(()),
        Some(since) => Err(since),
    })
    .await;
}

#[tokio::test]
async fn a_cache_has_what_is_there_and_what_changes() {
    let ledger = ledger().start().await;
    ledger.active("greet", "one").await;
    ledger.active("other", "one").await;
    let cache = client(&ledger).prompt_cache(vec!["greet".into(), "coming".into()], "");
    cache.synced().await.unwrap();
    assert_eq!(
        (got(&cache, "greet", None), got(&cache, "greet", Some("active"))),
        (Some("one".into()), Some("one".into()))
    );
    for (name, label) in [("greet", Some("production")), ("greet", Some("latest")), ("other", None), ("coming", None)] {
        assert_eq!(got(&cache, name, label), None, "{name} {label:?}");
    }
    assert_eq!((cache.stale_since(), cache.revision(), cache.names()), (None, 2, vec!["greet".to_owned()]));
    let mut changes = cache.changes();
    labelled(&ledger, "greet", "two", "production").await;
    assert_eq!(changes.next().await.unwrap(), ["greet"]);
    assert_eq!(
        (got(&cache, "greet", Some("production")), got(&cache, "greet", None)),
        (Some("two".into()), Some("one".into()))
    );
    cache.reached(ledger.active("coming", "here").await.revision).await.unwrap();
    assert_eq!(got(&cache, "coming", None), Some("here".into()));
    let archive = v1::ArchivePromptRequest { name: "coming".into(), ..v1::ArchivePromptRequest::default() };
    let revision = ledger.registry().archive_prompt(archive).await.unwrap().into_inner().revision;
    cache.reached(revision).await.unwrap();
    assert!(cache.prompt("coming").unwrap().archived_at.is_some() && cache.get("coming", None).is_some());
    assert_eq!(changes.next().await.unwrap(), ["coming"]);
    // What is not watched moves the revision all the same, and is told to nobody.
    cache.reached(ledger.active("other", "two").await.revision).await.unwrap();
    assert_eq!((cache.names().len(), changes.next().now_or_never().is_none()), (2, true));
}

#[tokio::test]
async fn while_the_server_is_away_the_last_state_is_served_and_afterwards_what_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let first = ledger().data_dir(folder.path()).start().await;
    first.active("greet", "one").await;
    let cache = client(&first).prompt_cache(vec![], "");
    cache.synced().await.unwrap();
    let addr = first.addr.clone();
    first.kill().await;
    poll::eventually("the cache to know", WAIT_LIMIT, async || cache.stale_since().ok_or("it is fed")).await;
    assert_eq!((got(&cache, "greet", None), cache.failure().is_none()), (Some("one".into()), true));
    let second = ledger().data_dir(folder.path()).addr(&addr).start().await;
    cache.reached(second.active("greet", "two").await.revision).await.unwrap();
    assert_eq!(got(&cache, "greet", None), Some("two".into()));
    fed(&cache).await;
}

#[tokio::test]
async fn a_cache_that_is_kept_in_a_file_has_its_prompts_before_the_server_is_there() {
    let (data, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = kept.path().join("prompts");
    let first = ledger().data_dir(data.path()).start().await;
    first.active("greet", "one").await;
    let revision = labelled(&first, "greet", "two", "production").await;
    let (client, addr) = (client(&first), first.addr.clone());
    let cache = client.prompt_cache_kept_in(&path, vec![], "").await;
    cache.reached(revision).await.unwrap();
    cache.keep().await.unwrap();
    drop(cache);
    let before = SystemTime::now();
    first.kill().await;
    let cache = client.prompt_cache_kept_in(&path, vec![], "").await;
    assert_eq!(
        (got(&cache, "greet", None), got(&cache, "greet", Some("production"))),
        (Some("one".into()), Some("two".into()))
    );
    assert!(cache.stale_since().unwrap() < before && cache.file_failure().is_none());
    let mut changes = cache.changes();
    let second = ledger().data_dir(data.path()).addr(&addr).start().await;
    let written = second.active("greet", "three").await;
    cache.reached(written.revision).await.unwrap();
    assert_eq!(
        (got(&cache, "greet", None), changes.next().await.unwrap()),
        (Some("three".into()), vec!["greet".into()])
    );
    fed(&cache).await;
    // A file that was kept of other prompts is not begun with, and becomes one of these.
    second.active("other", "one").await;
    let some = client.prompt_cache_kept_in(&path, vec!["other".into()], "").await;
    assert_eq!(some.file_failure(), Some(CacheFileError::OfOthers(path.clone())));
    some.synced().await.unwrap();
    some.keep().await.unwrap();
    assert_eq!((some.names(), some.file_failure()), (vec!["other".to_owned()], None));
    let again = client.prompt_cache_kept_in(&path, vec!["other".into()], "").await;
    assert_eq!((again.names(), again.file_failure()), (vec!["other".to_owned()], None));
}

#[tokio::test]
async fn a_ledger_that_was_restored_from_a_backup_is_told_anew() {
    let (kept, lost) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let backup = ledger().data_dir(kept.path()).start().await;
    backup.active("greet", "before").await;
    assert!(backup.terminate().await.status.success());
    let first = ledger().data_dir(lost.path()).start().await;
    for text in ["one", "two", "three"] {
        first.active("greet", text).await;
    }
    first.active("gone", "one").await;
    let cache = client(&first).prompt_cache(vec![], "");
    cache.synced().await.unwrap();
    assert_eq!((cache.revision(), cache.names().len()), (4, 2));
    let addr = first.addr.clone();
    let mut changes = cache.changes();
    first.kill().await;
    let second = ledger().data_dir(kept.path()).addr(&addr).start().await;
    while cache.names().len() > 1 {
        changes.next().await.unwrap();
    }
    cache.reached(1).await.unwrap();
    assert_eq!((got(&cache, "greet", None), cache.revision()), (Some("before".into()), 1));
    // Everything is lost.
    second.kill().await;
    let nothing = tempfile::tempdir().unwrap();
    let third = ledger().data_dir(nothing.path()).addr(&addr).start().await;
    while !cache.names().is_empty() {
        changes.next().await.unwrap();
    }
    fed(&cache).await;
    assert_eq!((cache.revision(), cache.failure().is_none()), (0, true));
    cache.reached(third.active("new", "one").await.revision).await.unwrap();
    assert_eq!((got(&cache, "new", None), cache.names().len()), (Some("one".into()), 1));
}

#[tokio::test]
async fn a_refusal_that_stays_ends_the_cache_and_is_told() {
    let ledger = ledger().start().await;
    let wrong = client(&ledger).prompt_cache(vec!["a b".into()], "");
    assert_eq!(wrong.synced().await.unwrap_err().reason().as_deref(), Some("INVALID_FIELD"));
    assert!(wrong.stale_since().is_some() && wrong.failure().is_some());
    let stranger = Options { api_key: "nobody".into(), ..options(&ledger) };
    let stranger = Client::connect(stranger).unwrap().prompt_cache(vec![], "");
    assert_eq!(stranger.synced().await.unwrap_err().reason().as_deref(), Some("KEY_INVALID"));
    // Places that others have become free.
    let model = FakeModel::start().await;
    let crowded = super::ledger(&model).expects("TOO_MANY_WATCHERS").env("MAX_WATCHERS_PER_KEY", "1").start().await;
    crowded.active("greet", "one").await;
    let first = client(&crowded).prompt_cache(vec![], "");
    first.synced().await.unwrap();
    let second = client(&crowded).prompt_cache(vec![], "");
    crowded.process().says(|line| line.contains("TOO_MANY_WATCHERS")).await;
    assert!(second.failure().is_none() && second.names().is_empty());
    drop(first);
    second.synced().await.unwrap();
}

#[tokio::test]
async fn a_cache_equals_the_store_after_any_writes_disconnects_and_deaths() {
    const SEQUENCES: u64 = 140;
    const DEATHS: u64 = 7;
    let folder = tempfile::tempdir().unwrap();
    let start = || ledger().env("STREAM_MAX_AGE", "3s").data_dir(folder.path());
    let mut ledger = start().start().await;
    let addr = ledger.addr.clone();
    let proxy = Proxy::to(&format!("http://{addr}")).await;
    let connect = || {
        let url = proxy.url(&format!("http://{addr}"));
        Client::connect(Options { url, api_key: DEVELOPMENT_KEY.into(), ..Options::default() }).unwrap()
    };
    let everything = connect().prompt_cache(vec![], "");
    // What a listener has who looks at what it is told of, and at nothing else.
    let (mut changes, mut heard) = (everything.changes(), HashMap::new());
    for seed in 0..SEQUENCES {
        let mut writer = PromptWriter::new(&format!("s{seed}."), seed);
        let (writes, begins) = (4 + writer.random.below(12), writer.random.below(8));
        let mut cache = None;
        for number in 0..writes {
            if number == begins {
                cache = Some(connect().prompt_cache(vec![], writer.prefix.clone()));
            }
            writer.write(&ledger).await;
            if writer.random.below(8) == 0 {
                proxy.cut();
            }
            if number == writes / 2 && seed % (SEQUENCES / DEATHS) == 9 {
                ledger.kill().await;
                ledger = start().addr(&addr).start().await;
            }
        }
        let cache = cache.unwrap_or_else(|| connect().prompt_cache(writer.names(), ""));
        settled(&writer, &ledger, &cache).await;
        settled(&writer, &ledger, &everything).await;
        while let Some(names) = changes.next().now_or_never() {
            heard.extend(names.unwrap().into_iter().map(|name| (name.clone(), everything.prompt(&name).unwrap())));
        }
        for name in everything.names() {
            assert_eq!(heard.get(&name), everything.prompt(&name).as_ref(), "{name}");
        }
    }
    assert!(everything.failure().is_none() && everything.names().len() > 300, "{}", everything.names().len());
}
