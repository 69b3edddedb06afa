//! The watch of prompts.

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_proto::v1::watch_prompts_response::Kind;
use prompt_ledger_testkit::ledger::{Ledger, Metadata, carried, put};
use tokio::time::{Duration, timeout};
use tonic::{Code, Status, Streaming};

use super::keys::create;
use super::{ledger, refused, wrong_fields};

type Feed = Streaming<v1::WatchPromptsResponse>;

fn all() -> v1::WatchPromptsRequest {
    v1::WatchPromptsRequest::default()
}

fn after(after_revision: i64) -> v1::WatchPromptsRequest {
    v1::WatchPromptsRequest { after_revision, ..all() }
}

async fn feed(ledger: &Ledger, request: v1::WatchPromptsRequest) -> Feed {
    ledger.registry().watch_prompts(request).await.unwrap().into_inner()
}

async fn next(feed: &mut Feed) -> (i64, Kind) {
    let message = timeout(Duration::from_secs(30), feed.message()).await.expect("nothing more comes");
    let message = message.unwrap().unwrap();
    assert!(message.at.is_some());
    (message.revision, message.kind.unwrap())
}

/// The next change, with its revision.
async fn change(feed: &mut Feed) -> (i64, v1::PromptChange) {
    match next(feed).await {
        (revision, Kind::Change(change)) => (revision, change),
        other => panic!("{other:?}"),
    }
}

/// The changes up to another kind of message, and that.
async fn changes(feed: &mut Feed) -> (Vec<(i64, v1::PromptChange)>, (i64, Kind)) {
    let mut changes = Vec::new();
    loop {
        match next(feed).await {
            (revision, Kind::Change(change)) => changes.push((revision, change)),
            other => return (changes, other),
        }
    }
}

/// The names of what is there, up to `synced`, and the first cursor.
async fn synced(feed: &mut Feed) -> (Vec<String>, i64) {
    let (changes, (revision, last)) = changes(feed).await;
    assert!(matches!(last, Kind::Synced(_)), "{last:?}");
    assert!(changes.iter().all(|(revision, _)| *revision == 0), "{changes:?}");
    (changes.into_iter().map(|(_, change)| change.prompt.unwrap().name).collect(), revision)
}

fn name(change: &v1::PromptChange) -> &str {
    &change.prompt.as_ref().unwrap().name
}

fn numbers(versions: &[v1::PromptVersion]) -> Vec<i32> {
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
    assert_eq!((numbers(&told.labelled_versions), &*told.active_version.unwrap().labels), (vec![1], &["newest".to_owned()][..]));
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
    for (cursor, expected) in [(1, &[(3, "c"), (5, "a"), (6, "b")][..]), (3, &[(5, "a"), (6, "b")]), (5, &[(6, "b")]), (6, &[])] {
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
        (watch(&["mai"], "po"), &["mai", "post"], &[]),
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

/// The parts of the next state: numbers of their versions, and whether more follow.
async fn parts(feed: &mut Feed) -> Vec<(i64, Option<i32>, Vec<i32>, bool)> {
    let mut parts = Vec::new();
    loop {
        let (revision, change) = change(feed).await;
        assert_eq!(name(&change), "big");
        assert!(prost::Message::encoded_len(&change) < 2 * 1024 * 1024 + 256 * 1024);
        let active = change.active_version.map(|version| version.version_number);
        parts.push((revision, active, numbers(&change.labelled_versions), change.more_follows));
        if !change.more_follows {
            return parts;
        }
    }
}

#[tokio::test]
async fn a_state_that_is_too_large_for_a_message_comes_in_parts() {
    let ledger = ledger().start().await;
    ledger.active("big", "one").await;
    // By number: 40 labelled versions of a few bytes.
    for number in 0..40 {
        let labels = vec![format!("l{number}")];
        let request = v1::PutPromptRequest { labels, ..put("big", &format!("text {number}")) };
        ledger.registry().put_prompt(request).await.unwrap();
    }
    let mut live = feed(&ledger, all()).await;
    let whole = |parts: &[(i64, Option<i32>, Vec<i32>, bool)]| {
        let actives: Vec<_> = parts.iter().filter_map(|part| part.1).collect();
        let labelled: Vec<_> = parts.iter().flat_map(|part| part.2.clone()).collect();
        assert!(parts[0].1.is_some() && parts.iter().rev().skip(1).all(|part| part.3), "{parts:?}");
        (actives, labelled, parts.len())
    };
    let first = parts(&mut live).await;
    assert!(first.iter().all(|part| part.0 == 0));
    assert_eq!(whole(&first), (vec![1], (2..=41).collect(), 3));
    assert_eq!(synced(&mut live).await, (vec![], 41));
    // By size: 24 of them with 190 KB each.
    let text = "x".repeat(190_000);
    for number in 0..24 {
        let labels = vec![format!("l{number}")];
        let request = v1::PutPromptRequest { labels, ..put("big", &format!("{text}{number}")) };
        ledger.registry().put_prompt(request).await.unwrap();
    }
    let expected: Vec<_> = (26..=65).collect();
    let late = parts(&mut feed(&ledger, after(41)).await).await;
    let (actives, labelled, count) = whole(&late);
    assert_eq!((actives, labelled), (vec![1], expected));
    assert!(count > 3, "{late:?}");
    let cursors: Vec<_> = late.iter().map(|part| part.0).collect();
    assert!(cursors[..count - 1].iter().all(|cursor| *cursor == 41) && cursors[count - 1] == 65, "{cursors:?}");
    let mut last = Vec::new();
    while last.last().map(|part: &(i64, _, _, _)| part.0) != Some(65) {
        last = parts(&mut live).await;
    }
    assert_eq!(whole(&last).1, (26..=65).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_watch_is_of_one_project() {
    let ledger = ledger().env("STREAM_HEARTBEAT", "200ms").start().await;
    let other = Metadata::key(&create(ledger.data_dir(), &["--project", "other"]));
    let mut other = RegistryServiceClient::new(ledger.connection_with(other));
    ledger.active("ours", "one").await;
    let mut theirs = other.watch_prompts(all()).await.unwrap().into_inner();
    assert_eq!(synced(&mut theirs).await, (vec![], 0));
    ledger.active("ours", "two").await;
    assert!(matches!(next(&mut theirs).await, (0, Kind::Heartbeat(_))));
    other.put_prompt(put("theirs", "one")).await.unwrap();
    loop {
        match next(&mut theirs).await {
            (revision, Kind::Change(change)) => break assert_eq!((revision, name(&change)), (1, "theirs")),
            (0, Kind::Heartbeat(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn end(feed: &mut Feed) -> (i64, Status) {
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
    let ledger = ledger().env("STREAM_MAX_AGE", "1s").env("SHUTDOWN_GRACE", "5s").start().await;
    ledger.active("greet", "one").await;
    let (mut first, mut resumed) = (feed(&ledger, all()).await, feed(&ledger, after(1)).await);
    for feed in [&mut first, &mut resumed] {
        let (cursor, aged) = end(feed).await;
        let info = refused(Err::<(), _>(aged), Code::Unavailable, "DRAINING");
        assert_eq!((cursor, &*info.metadata["last_revision"]), (1, "1"));
    }
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
    assert!(ended.status.success() && ended.took < Duration::from_secs(4), "{ended:?}");
}

#[tokio::test]
async fn watches_of_prompts_count_with_those_of_executions() {
    let ledger = ledger().env("MAX_WATCHERS_PER_KEY", "2").start().await;
    let _executions = ledger.executions().watch_executions(v1::WatchExecutionsRequest::default()).await.unwrap();
    let _prompts = feed(&ledger, all()).await;
    refused(ledger.registry().watch_prompts(all()).await, Code::ResourceExhausted, "TOO_MANY_WATCHERS");
    let request = v1::WatchExecutionsRequest::default();
    refused(ledger.executions().watch_executions(request).await, Code::ResourceExhausted, "TOO_MANY_WATCHERS");
}

/// A client with the smallest windows.
async fn narrow(ledger: &Ledger) -> RegistryServiceClient<prompt_ledger_testkit::ledger::Connection> {
    let dial = tonic::transport::Endpoint::from_shared(format!("http://{}", ledger.addr)).unwrap();
    let dial = dial.initial_stream_window_size(65_535).initial_connection_window_size(65_535);
    RegistryServiceClient::with_interceptor(dial.connect().await.unwrap(), Metadata::key(&ledger.key))
}

#[tokio::test]
async fn who_does_not_read_is_told_so_and_resumes_and_delays_nobody() {
    let ledger = ledger().env("STREAM_STALL_LIMIT", "500ms").env("LOG", "prompt_ledger_server=debug").start().await;
    ledger.active("greet", "one").await;
    let mut slow = narrow(&ledger).await;
    let mut stalled = slow.watch_prompts(all()).await.unwrap().into_inner();
    let mut read = feed(&ledger, all()).await;
    synced(&mut read).await;
    let mut last = 0;
    for round in 0..6 {
        last = ledger.active("greet", &format!("{round} {}", "x".repeat(150_000))).await.revision;
        while change(&mut read).await.0 != last {}
    }
    ledger.process().says(|line| line.contains("is not read")).await;
    let (cursor, ended) = end(&mut stalled).await;
    let info = refused(Err::<(), _>(ended), Code::Aborted, "SLOW_CONSUMER");
    assert_eq!(info.metadata["last_revision"], cursor.to_string());
    assert!(cursor < last, "{cursor}");
    let mut again = feed(&ledger, after(cursor)).await;
    assert_eq!(change(&mut again).await.0, last);
}

#[tokio::test]
async fn a_large_prompt_reaches_hundreds_of_watchers_of_one_key() {
    const WATCHERS: usize = 250;
    let ledger = ledger().start().await;
    ledger.active("greet", "one").await;
    let mut feeds = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(narrow(&ledger).await);
    }
    for number in 0..WATCHERS {
        let mut feed = clients[number % 4].watch_prompts(all()).await.unwrap().into_inner();
        synced(&mut feed).await;
        feeds.push(feed);
    }
    // All of them together are far more than the answers to one key may take.
    let text = "x".repeat(190_000);
    let revision = ledger.active("greet", &text).await.revision;
    let reading = feeds.into_iter().map(|mut feed| {
        tokio::spawn(async move {
            let (told, change) = change(&mut feed).await;
            let Some(v1::prompt_version::Template::TemplateSource(text)) = change.active_version.unwrap().template else {
                panic!("it is a text")
            };
            (told, text.len())
        })
    });
    for reading in reading.collect::<Vec<_>>() {
        assert_eq!(reading.await.unwrap(), (revision, text.len()));
    }
}
