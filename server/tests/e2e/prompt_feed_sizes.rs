//! The watch of prompts, where they are large or are not read.

use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use prompt_ledger_proto::v1::watch_prompts_response::Kind;
use prompt_ledger_testkit::ledger::{Connection, Ledger, Metadata, put};
use tokio::time::{Duration, Instant};
use tonic::Code;

use super::prompt_feeds::{Feed, after, all, change, end, feed, name, numbers, synced};
use super::{ledger, refused};

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

/// A client with the smallest windows.
async fn narrow(ledger: &Ledger) -> RegistryServiceClient<Connection> {
    let dial = tonic::transport::Endpoint::from_shared(format!("http://{}", ledger.addr)).unwrap();
    let dial = dial.initial_stream_window_size(65_535).initial_connection_window_size(65_535);
    RegistryServiceClient::with_interceptor(dial.connect().await.unwrap(), Metadata::key(&ledger.key))
}

#[tokio::test]
async fn who_does_not_read_is_told_so_and_resumes_and_delays_nobody() {
    let ledger = ledger().env("STREAM_STALL_LIMIT", "3s").env("LOG", "prompt_ledger_server=debug").start().await;
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
async fn who_keeps_large_messages_unread_delays_nobody() {
    // Of 1.9 MB each: they take all the room that their key has.
    const STALLED: usize = 8;
    let ledger = ledger().start().await;
    ledger.active("big", "one").await;
    let text = "x".repeat(190_000);
    for number in 0..10 {
        let labels = vec![format!("l{number}")];
        let request = v1::PutPromptRequest { labels, ..put("big", &format!("{text}{number}")) };
        ledger.registry().put_prompt(request).await.unwrap();
    }
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        let mut client = narrow(&ledger).await;
        let mut feed = client.watch_prompts(all()).await.unwrap().into_inner();
        // Begins to read, and reads no more than its window holds.
        let mut reading = Box::pin(feed.message());
        assert!(futures::poll!(&mut reading).is_pending());
        drop(reading);
        stalled.push((client, feed));
    }
    for _ in 0..3 {
        let began = Instant::now();
        let mut read = feed(&ledger, all()).await;
        assert_eq!(parts(&mut read).await.len(), 1);
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
    let mut ended = 0;
    for (_client, feed) in &mut stalled {
        match feed.message().await {
            Ok(message) => assert!(message.is_some()),
            Err(status) => {
                refused(Err::<(), _>(status), Code::Aborted, "SLOW_CONSUMER");
                ended += 1;
            }
        }
    }
    assert!(ended > 0, "those that kept others waiting have ended");
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
    let reading = feeds.into_iter().enumerate().map(|(number, mut feed)| {
        let mut client = clients[number % 4].clone();
        tokio::spawn(async move {
            loop {
                let message = match feed.message().await {
                    Ok(message) => message.unwrap(),
                    // Nothing was taken for a second while others waited for room: it goes on from its cursor.
                    Err(slow) => {
                        refused(Err::<(), _>(slow), Code::Aborted, "SLOW_CONSUMER");
                        feed = client.watch_prompts(after(1)).await.unwrap().into_inner();
                        continue;
                    }
                };
                let change = match message.kind.unwrap() {
                    Kind::Change(change) => change,
                    Kind::Heartbeat(_) => continue,
                    other => panic!("{other:?}"),
                };
                let Some(v1::prompt_version::Template::TemplateSource(text)) = change.active_version.unwrap().template
                else {
                    panic!("it is a text")
                };
                return (message.revision, text.len());
            }
        })
    });
    let all_by = Instant::now() + Duration::from_secs(120);
    for reading in reading.collect::<Vec<_>>() {
        let read = tokio::time::timeout_at(all_by, reading).await.expect("a watcher is not told");
        assert_eq!(read.unwrap(), (revision, text.len()));
    }
}
