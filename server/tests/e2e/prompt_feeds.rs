//! The watch of prompts.

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_proto::v1::watch_prompts_response::Kind;
use prompt_ledger_testkit::ledger::{Ledger, Metadata, carried, put};
use tokio::time::{Duration, timeout};
use tonic::{Code, Status, Streaming};

use super::keys::create;
use super::{ledger, refused, wrong_fields};

pub(crate) type Feed = Streaming<v1::WatchPromptsResponse>;

pub(crate) fn all() -> v1::WatchPromptsRequest {
    v1::WatchPromptsRequest::default()
}

pub(crate) fn after(after_revision: i64) -> v1::WatchPromptsRequest {
    v1::WatchPromptsRequest { after_revision, ..all() }
}

pub(crate) async fn feed(ledger: &Ledger, request: v1::WatchPromptsRequest) -> Feed {
    ledger.registry().watch_prompts(request).await.unwrap().into_inner()
}

async fn next(feed: &mut Feed) -> (i64, Kind) {
    let message = timeout(Duration::from_secs(30), feed.message()).await.expect("nothing more comes");
    let message = message.unwrap().unwrap();
    assert!(message.at.is_some());
    (message.revision, message.kind.unwrap())
}

/// The next change, with its revision.
pub(crate) async fn change(feed: &mut Feed) -> (i64, v1::PromptChange) {
    let told = async {
        loop {
            match next(feed).await {
                (revision, Kind::Change(change)) => return (revision, change),
                (_, Kind::Heartbeat(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    timeout(Duration::from_secs(60), told).await.expect("no change comes")
}

/// The changes up to another kind of message, and that; but heartbeats that say that changes are missing.
async fn changes(feed: &mut Feed) -> (Vec<(i64, v1::PromptChange)>, (i64, Kind)) {
    let mut changes = Vec::new();
    loop {
        match next(feed).await {
            (revision, Kind::Change(change)) => changes.push((revision, change)),
            (_, Kind::Heartbeat(v1::PromptsHeartbeat { behind: true })) => {}
            other => return (changes, other),
        }
    }
}

/// The names of what is there, up to `synced`, and the first cursor.
pub(crate) async fn synced(feed: &mut Feed) -> (Vec<String>, i64) {
    let (changes, (revision, last)) = changes(feed).await;
    assert!(matches!(last, Kind::Synced(_)), "{last:?}");
    assert!(changes.iter().all(|(revision, _)| *revision == 0), "{changes:?}");
    (changes.into_iter().map(|(_, change)| change.prompt.unwrap().name).collect(), revision)
}

pub(crate) fn name(change: &v1::PromptChange) -> &str {
    &change.prompt.as_ref().unwrap().name
}

pub(crate) fn numbers(versions: &[v1::PromptVersion]) -> Vec<i32> {
    versions.iter().map(|version| version.version_number).collect()
}

async fn archive(ledger: &Ledger, name: &str) {
    let request = v1::ArchivePromptRequest { name: name.into(), ..v1::ArchivePromptRequest::default() };
    ledger.registry().archive_prompt(request).await.unwrap();
}

async fn label(ledger: &Ledger, name: &str, label: &str, version_number: i32) -> v1::SetLabelResponse {
    let (name, label) = (name.into(), label.into());
    let request = v1::SetLabelRequest { name, label, version_number, ..v1::SetLabelRequest::default() };
    ledger.registry().set_label(request).await.unwrap().into_inner()
}

async fn activate(ledger: &Ledger, name: &str, version_number: i32) -> v1::SetActiveVersionResponse {
    let name = name.into();
    let request = v1::SetActiveVersionRequest { name, version_number, ..v1::SetActiveVersionRequest::default() };
    ledger.registry().set_active_version(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn what_is_there_comes_first_and_then_every_change_with_its_revision() {
    let ledger = ledger().start().await;
    let mut empty = feed(&ledger, all()).await;
    assert_eq!(synced(&mut empty).await, (vec![], 0));
    ledger.active("greet", "one").await;
    ledger.active("old", "gone").await;
    archive(&ledger, "old").await;
    ledger.carry(vec![carried("carried", "code")]).await;
    let mut feed = feed(&ledger, all()).await;
    let (mut names, first) = synced(&mut feed).await;
    names.sort();
    assert_eq!((names, first), (vec!["carried".into(), "greet".into(), "old".into()], 4));
    // Each write is a revision, and each that changes something is told.
    ledger.registry().put_prompt(put("greet", "two")).await.unwrap();
    let (revision, told) = change(&mut feed).await;
    assert_eq!((revision, told.active_version.unwrap().version_number, told.labelled_versions), (5, 1, vec![]));
    ledger.registry().put_prompt(put("greet", "two")).await.unwrap();
    let written = activate(&ledger, "greet", 2).await;
    let (revision, told) = change(&mut feed).await;
    assert_eq!((revision, told.prompt, told.active_version), (6, written.prompt, written.active_version));
    let moved = label(&ledger, "greet", "production", 1).await;
    let (revision, told) = change(&mut feed).await;
    assert_eq!((revision, told.prompt), (7, moved.prompt));
    assert_eq!((told.labelled_versions, told.more_follows), (vec![moved.version.unwrap()], false));
    // A version that two labels point at, and one that is active as well, are told once.
    label(&ledger, "greet", "staging", 1).await;
    assert_eq!(numbers(&change(&mut feed).await.1.labelled_versions), [1]);
    label(&ledger, "greet", "newest", 2).await;
    let (_, told) = change(&mut feed).await;
    assert_eq!(
        (numbers(&told.labelled_versions), &*told.active_version.unwrap().labels),
        (vec![1], &["newest".to_owned()][..])
    );
    archive(&ledger, "greet").await;
    let (revision, told) = change(&mut feed).await;
    assert!(revision == 10 && told.prompt.unwrap().archived_at.is_some());
    // The stream that began with nothing has been told all of it, each prompt perhaps once for several changes.
    let mut seen = Vec::new();
    while seen.last() != Some(&10) {
        seen.push(change(&mut empty).await.0);
    }
    assert!(seen.is_sorted() && seen.contains(&4), "{seen:?}");
}

#[tokio::test]
async fn a_cursor_is_resumed_from_with_the_present_state_of_what_has_changed() {
    let ledger = ledger().env("STREAM_HEARTBEAT", "30s").start().await;
    for name in ["a", "b", "c"] {
        ledger.active(name, "one").await;
    }
    for text in ["two", "three"] {
        ledger.active("a", text).await;
    }
    ledger.active("b", "two").await;
    for (cursor, expected) in
        [(1, &[(3, "c"), (5, "a"), (6, "b")][..]), (3, &[(5, "a"), (6, "b")]), (5, &[(6, "b")]), (6, &[])]
    {
        let mut feed = feed(&ledger, after(cursor)).await;
        let (told, (revision, last)) = changes(&mut feed).await;
        let short: Vec<_> = told.iter().map(|(revision, change)| (*revision, name(change))).collect();
        assert_eq!((short, revision), (expected.to_vec(), 6));
        assert!(matches!(last, Kind::Heartbeat(_)), "nothing is missing: {last:?}");
        for (_, change) in &told {
            let updated = change.prompt.as_ref().unwrap().updated_at;
            assert!(updated.is_some() && change.active_version.is_some());
        }
    }
    let mut live = feed(&ledger, after(6)).await;
    next(&mut live).await;
    ledger.active("c", "two").await;
    let (revision, told) = change(&mut live).await;
    assert_eq!((revision, name(&told)), (7, "c"));
    let info = refused(ledger.registry().watch_prompts(after(8)).await, Code::OutOfRange, "REVISION_AHEAD");
    assert_eq!(info.metadata["last_revision"], "7");
}

#[tokio::test]
async fn every_filter_leaves_the_right_ones_and_its_cursor_moves_all_the_same() {
    let ledger = ledger().env("STREAM_HEARTBEAT", "200ms").start().await;
    for name in ["mail.a", "mail.b", "post", "mai"] {
        ledger.active(name, "one").await;
    }
    let watch = |names: &[&str], prefix: &str| v1::WatchPromptsRequest {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        name_prefix: prefix.into(),
        after_revision: 0,
    };
    let cases = [
        (watch(&["post", "coming", "post"], ""), &["post"][..], &["coming"][..]),
        (watch(&[], "mail."), &["mail.a", "mail.b"], &["mail.c"]),
        (watch(&["mai"], "po"), &["post", "mai"], &[]),
        (watch(&["Post", "mail"], ""), &[], &[]),
        (watch(&[], "Mail."), &[], &[]),
    ];
    let mut feeds = Vec::new();
    for (request, there, _) in &cases {
        let mut feed = feed(&ledger, request.clone()).await;
        assert_eq!(synced(&mut feed).await, (there.iter().map(|name| (*name).to_owned()).collect(), 4));
        feeds.push(feed);
    }
    for name in ["coming", "mail.c", "other"] {
        ledger.active(name, "one").await;
    }
    for (feed, (request, _, coming)) in feeds.iter_mut().zip(&cases) {
        let mut told = Vec::new();
        loop {
            match next(feed).await {
                (_, Kind::Change(change)) => told.push(name(&change).to_owned()),
                (7, _) => break,
                (revision, _) => assert!((4..7).contains(&revision), "{revision}"),
            }
        }
        assert_eq!(told, *coming, "{request:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_watched_is_refused() {
    let ledger = ledger().start().await;
    let watch = |names: Vec<String>, prefix: &str, after_revision| {
        let request = v1::WatchPromptsRequest { names, name_prefix: prefix.into(), after_revision };
        let mut registry = ledger.registry();
        async move { registry.watch_prompts(request).await }
    };
    let many = |count: usize| (0..count).map(|number| format!("n{number}")).collect::<Vec<_>>();
    for (names, prefix, cursor, fields) in [
        (vec!["ok".into(), "a b".into(), String::new()], "", 0, &["names[1]", "names[2]"][..]),
        (many(1_001), "", 0, &["names"]),
        (vec![], &*"x".repeat(129), 0, &["name_prefix"]),
        (vec![], "", -1, &["after_revision"]),
    ] {
        assert_eq!(wrong_fields(watch(names, prefix, cursor).await), fields);
    }
    watch(many(1_000), "", 0).await.unwrap();
}

#[tokio::test]
async fn a_watch_is_of_one_project() {
    let ledger = ledger().env("STREAM_HEARTBEAT", "200ms").start().await;
    let other = Metadata::key(&create(ledger.data_dir(), &["--project", "other"]));
    let mut other = RegistryServiceClient::new(ledger.connection_with(other));
    ledger.active("greet", "ours").await;
    let mut ours = feed(&ledger, all()).await;
    assert_eq!(synced(&mut ours).await, (vec!["greet".into()], 1));
    let mut theirs = other.watch_prompts(all()).await.unwrap().into_inner();
    assert_eq!(synced(&mut theirs).await, (vec![], 0));
    ledger.active("greet", "ours too").await;
    assert!(matches!(next(&mut theirs).await, (0, Kind::Heartbeat(_))));
    // The same name, and the same revision.
    for text in ["theirs", "theirs too"] {
        other.put_prompt(v1::PutPromptRequest { set_active: true, ..put("greet", text) }).await.unwrap();
    }
    for (feed, last) in [(&mut ours, "ours too"), (&mut theirs, "theirs too")] {
        loop {
            let (revision, told) = match next(feed).await {
                (revision, Kind::Change(told)) => (revision, told),
                (_, Kind::Heartbeat(_)) => continue,
                other => panic!("{other:?}"),
            };
            assert_eq!(name(&told), "greet");
            if revision == 2 {
                let text = v1::prompt_version::Template::TemplateSource(last.into());
                assert_eq!(told.active_version.unwrap().template, Some(text));
                break;
            }
        }
    }
}

pub(crate) async fn end(feed: &mut Feed) -> (i64, Status) {
    let mut cursor = 0;
    loop {
        match feed.message().await {
            Ok(message) => cursor = message.expect("a watch never ends well").revision,
            Err(status) => return (cursor, status),
        }
    }
}

#[tokio::test]
async fn a_stream_ends_at_its_age_and_at_a_drain_with_its_cursor() {
    let ledger = ledger().env("STREAM_MAX_AGE", "5s").start().await;
    ledger.active("greet", "one").await;
    let (mut first, mut resumed) = (feed(&ledger, all()).await, feed(&ledger, after(1)).await);
    for feed in [&mut first, &mut resumed] {
        let (cursor, aged) = end(feed).await;
        let info = refused(Err::<(), _>(aged), Code::Unavailable, "DRAINING");
        assert_eq!((cursor, &*info.metadata["last_revision"]), (1, "1"));
    }
    // Of one whose streams do not age meanwhile.
    let ledger = super::ledger().env("SHUTDOWN_GRACE", "60s").start().await;
    ledger.active("greet", "one").await;
    let mut feeds = vec![feed(&ledger, all()).await, feed(&ledger, after(1)).await];
    for feed in &mut feeds {
        changes(feed).await;
    }
    ledger.signal("TERM");
    for feed in &mut feeds {
        let info = refused(Err::<(), _>(end(feed).await.1), Code::Unavailable, "DRAINING");
        assert_eq!(info.metadata["last_revision"], "1");
    }
    let ended = ledger.ended().await;
    assert!(ended.status.success() && ended.took < Duration::from_secs(20), "{ended:?}");
}

#[tokio::test]
async fn watches_of_prompts_count_with_those_of_executions() {
    let ledger = ledger().expects("TOO_MANY_WATCHERS").env("MAX_WATCHERS_PER_KEY", "2").start().await;
    let _executions = ledger.executions().watch_executions(v1::WatchExecutionsRequest::default()).await.unwrap();
    let _prompts = feed(&ledger, all()).await;
    refused(ledger.registry().watch_prompts(all()).await, Code::ResourceExhausted, "TOO_MANY_WATCHERS");
    let request = v1::WatchExecutionsRequest::default();
    refused(ledger.executions().watch_executions(request).await, Code::ResourceExhausted, "TOO_MANY_WATCHERS");
}
