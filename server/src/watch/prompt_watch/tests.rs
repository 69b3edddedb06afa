//! Streams on a real store, whose reads are counted.

mod kit;

use std::collections::HashMap;
use std::task::Poll;
use std::time::Duration;

use prompt_ledger_domain::Reason;
use prompt_ledger_runtime::new_id;
use prompt_ledger_store::Access as _;

use self::kit::{Kit, ReadCounts, after_heartbeats, next, next_text, told};
use super::*;
use crate::watch::PromptWatchFilter;

#[tokio::test]
async fn a_change_is_read_once_for_all_streams() {
    let kit = Kit::new().await;
    for number in 0..40 {
        kit.put(&format!("p{number}"), "one").await;
    }
    let mut watches = Vec::new();
    for _ in 0..200 {
        watches.push(kit.watch("", 0).await);
    }
    for watch in &mut watches {
        for number in 0..40 {
            assert_eq!(next(watch).await, told(0, &format!("p{number}")));
        }
        assert_eq!(next(watch).await, told(40, "synced"));
    }
    let expected = ReadCounts { revisions: 200, pages: 1, states: 3, versions: 40 };
    assert_eq!(kit.reads(), expected, "one page, and 16 prompts at once");
    let revision = kit.put("p7", "two").await;
    kit.heads.reached(kit.project, revision);
    let all = futures::future::join_all(watches.iter_mut().map(next)).await;
    assert!(all.iter().all(|one| *one == told(41, "p7")), "{all:?}");
    assert_eq!(kit.reads(), ReadCounts { revisions: 0, pages: 1, states: 1, versions: 1 });
}

#[tokio::test]
async fn what_nobody_tells_of_is_not_looked_for_and_heartbeats_go_on() {
    let kit = Kit::beating(Duration::from_millis(100)).await;
    let mut watch = kit.watch("a", 0).await;
    assert_eq!(after_heartbeats(&mut watch, 0).await, told(0, "synced"));
    kit.put("a", "one").await;
    assert_eq!(next(&mut watch).await, told(0, "heartbeat"));
    kit.heads.reached(kit.project, 1);
    assert_eq!(after_heartbeats(&mut watch, 0).await, told(1, "a"));
    kit.heads.reached(kit.project, kit.put("b", "one").await);
    assert_eq!(
        after_heartbeats(&mut watch, 1).await,
        told(2, "heartbeat"),
        "the cursor moves past what does not match"
    );
    kit.reads();
    // A database that was restored from a backup is behind what was announced.
    kit.heads.reached(kit.project, 99);
    while next(&mut watch).await != told(2, "heartbeat") {}
    kit.reads();
    assert_eq!(next(&mut watch).await, told(2, "heartbeat"), "nothing more is known to be missing");
    assert_eq!(kit.reads().pages, 0, "and nothing is looked for again");
}

#[tokio::test]
async fn what_is_kept_of_a_page_is_not_taken_for_news() {
    let kit = Kit::new().await;
    kit.put("a", "one").await;
    let mut first = kit.watch("", 0).await;
    assert_eq!((next(&mut first).await, next(&mut first).await), (told(0, "a"), told(1, "synced")));
    // Written elsewhere: nothing was announced, and what is kept does not have it.
    kit.put("b", "one").await;
    let mut second = kit.watch("", 0).await;
    let all = [next(&mut second).await, next(&mut second).await, next(&mut second).await];
    assert_eq!(all, [told(0, "a"), told(0, "b"), told(2, "synced")]);
    let mut resumed = kit.watch("", 1).await;
    assert_eq!((next(&mut resumed).await, next(&mut resumed).await), (told(2, "b"), told(2, "heartbeat")));
    assert_eq!(next(&mut first).await, told(2, "b"), "the beginning of a stream tells all of what it found");
    let ahead = kit.watches.watch(kit.project, 1, PromptWatchFilter::default(), 3, None).await;
    assert_eq!(ahead.err().unwrap().reason(), Reason::RevisionAhead);
}

#[tokio::test]
async fn a_prompt_that_is_written_while_it_is_told_is_told_again() {
    let kit = Kit::new().await;
    for number in 0..20 {
        kit.put(&format!("p{number:02}"), "one").await;
    }
    let mut watch = kit.watch("", 0).await;
    assert_eq!(next(&mut watch).await, told(0, "p00"));
    kit.put("p00", "two").await;
    kit.put("p19", "two").await;
    kit.heads.reached(kit.project, 22);
    // The stream began at revision 20; what came behind it is told before `synced` or after it.
    let (mut last, mut cursor) = (HashMap::from([("p00".to_owned(), "one".to_owned())]), 0);
    while cursor < 22 {
        let (revision, what, text) = next_text(&mut watch).await;
        match &*what {
            "synced" => assert_eq!(last.len(), 20, "each prompt comes before it"),
            _ => drop(last.insert(what, text)),
        }
        cursor = revision;
    }
    assert_eq!((&*last["p00"], &*last["p01"], &*last["p19"]), ("two", "one", "two"));
}

#[tokio::test]
async fn heartbeats_say_whether_changes_are_missing() {
    let kit = Kit::beating(Duration::from_millis(100)).await;
    for name in ["a", "b"] {
        kit.put(name, "one").await;
    }
    let (mut first, mut resumed) = (kit.watch("", 0).await, kit.watch("", 1).await);
    let held = kit.store.gate.write().await;
    assert_eq!(next(&mut first).await, told(0, "behind"));
    assert_eq!(next(&mut resumed).await, told(1, "behind"));
    drop(held);
    assert_eq!(after_heartbeats(&mut first, 0).await, told(0, "a"));
    assert_eq!(after_heartbeats(&mut first, 0).await, told(0, "b"));
    assert_eq!(after_heartbeats(&mut first, 0).await, told(2, "synced"));
    assert_eq!(after_heartbeats(&mut resumed, 1).await, told(2, "b"));
    while next(&mut resumed).await != told(2, "heartbeat") {}
    // Live as well, and the end of it is told at once.
    let held = kit.store.gate.write().await;
    let revision = kit.put("c", "one").await;
    kit.heads.reached(kit.project, revision);
    while next(&mut first).await != told(2, "behind") {}
    drop(held);
    assert_eq!(after_heartbeats(&mut first, 2).await, told(3, "c"));
    tokio::task::yield_now().await;
    let Poll::Ready(event) = futures::poll!(Box::pin(next(&mut first))) else { panic!("it waits") };
    assert_eq!(event, told(3, "heartbeat"));
}

#[tokio::test]
async fn a_read_that_takes_longer_than_a_heartbeat_does_not_begin_again() {
    let kit = Kit::beating(Duration::from_millis(100)).await;
    kit.put("a", "one").await;
    let mut watch = kit.watch("", 0).await;
    kit.reads();
    let held = kit.store.gate.write().await;
    for _ in 0..3 {
        assert_eq!(next(&mut watch).await, told(0, "behind"));
    }
    drop(held);
    assert_eq!(after_heartbeats(&mut watch, 0).await, told(0, "a"));
    assert_eq!(kit.reads().pages, 1);
}

#[tokio::test]
async fn the_reads_of_a_stream_that_is_gone_end_with_it() {
    let kit = Kit::new().await;
    kit.put("a", "one").await;
    let mut watches = [kit.watch("", 0).await, kit.watch("", 0).await];
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    // One read waits for the store, the other one for its lane.
    let _held = kit.store.gate.write().await;
    for watch in &mut watches {
        assert!(futures::poll!(Box::pin(next(watch))).is_pending());
    }
    assert_eq!(tasks(), before + 2, "the waits for them were dropped, and they go on");
    drop(watches);
    let ended = async {
        while tasks() > before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ended).await.expect("they go on for nobody");
}

#[tokio::test]
async fn streams_that_begin_together_share_a_read_of_the_revision_that_began_after_each() {
    let kit = Kit::new().await;
    kit.put("a", "one").await;
    let held = kit.store.gate.write().await;
    let mut beginning: Vec<_> = (0..100).map(|_| Box::pin(kit.watch("", 0))).collect();
    for one in &mut beginning {
        assert!(futures::poll!(one).is_pending());
    }
    drop(held);
    let mut watches = futures::future::join_all(beginning).await;
    assert_eq!(kit.reads().revisions, 2, "one that had begun, and one for all that came behind it");
    // What was written before a stream begins is in its first part.
    kit.put("b", "one").await;
    watches.push(kit.watch("", 0).await);
    let last = watches.last_mut().unwrap();
    assert_eq!((next(last).await, next(last).await, next(last).await), (told(0, "a"), told(0, "b"), told(2, "synced")));
}

#[tokio::test]
async fn all_parts_of_a_large_state_are_cut_from_the_versions_that_were_read() {
    let kit = Kit::new().await;
    kit.put("big", "one").await;
    let text = "x".repeat(300_000);
    for number in 0..64 {
        kit.put_in(kit.project, "big", &format!("{number}{text}"), Some(&format!("l{number}"))).await;
    }
    let mut watches = [kit.watch("", 0).await, kit.watch("", 0).await];
    for _ in 0..65 / 6 {
        for watch in &mut watches {
            assert_eq!(next(watch).await, told(0, "big"));
        }
    }
    for watch in &mut watches {
        while next(watch).await != told(65, "synced") {}
    }
    let ReadCounts { states, versions, .. } = kit.reads();
    assert_eq!((states, versions), (1, 65), "each version is read once, for both streams");
}

#[tokio::test]
async fn prompts_of_one_name_in_two_projects_are_apart() {
    let kit = Kit::new().await;
    let other = kit.store.store.create_project(ProjectId(new_id()), "other").await.unwrap().id;
    kit.put("greet", "ours").await;
    kit.put_in(other, "greet", "theirs", None).await;
    let mut ours = kit.watch("", 0).await;
    let mut theirs = kit.watches.watch(other, 1, PromptWatchFilter::default(), 0, None).await.unwrap();
    for (watch, text) in [(&mut ours, "ours"), (&mut theirs, "theirs")] {
        assert_eq!(next_text(watch).await, (0, "greet".into(), text.into()));
        assert_eq!(next(watch).await, told(1, "synced"));
    }
    kit.heads.reached(other, kit.put_in(other, "greet", "theirs too", None).await);
    assert_eq!(next_text(&mut theirs).await, (2, "greet".into(), "theirs too".into()));
    kit.heads.reached(kit.project, kit.put("greet", "ours too").await);
    assert_eq!(next_text(&mut ours).await, (2, "greet".into(), "ours too".into()));
}

#[tokio::test]
async fn large_messages_wait_for_room_until_others_were_taken() {
    let kit = Kit::new().await;
    kit.put("a", "one").await;
    let mut watches = Vec::new();
    // Of 190 KB each, 88 have room.
    for _ in 0..100 {
        let mut watch = kit.watch("", 0).await;
        assert_eq!((next(&mut watch).await, next(&mut watch).await), (told(0, "a"), told(1, "synced")));
        watches.push(watch);
    }
    let revision = kit.put("a", &"x".repeat(190_000)).await;
    kit.heads.reached(kit.project, revision);
    let mut waiting = Vec::new();
    let mut taken = 0;
    for (number, watch) in watches.iter_mut().enumerate() {
        // Begins another poll of this task, with a full budget.
        tokio::task::yield_now().await;
        let mut next = Box::pin(next(watch));
        // Until the state was read the first one waits for the store.
        if number == 0 {
            assert_eq!(next.await, told(2, "a"));
            taken += 1;
        } else {
            match futures::poll!(&mut next) {
                Poll::Ready(event) => {
                    assert_eq!(event, told(2, "a"));
                    taken += 1;
                }
                Poll::Pending => waiting.push(next),
            }
        }
    }
    assert!((80..=88).contains(&taken) && waiting.len() == 100 - taken, "{taken}");
    let left = waiting.len();
    // Who has read asks for more, and makes room.
    drop(waiting);
    for watch in watches.iter_mut().take(left) {
        tokio::task::yield_now().await;
        assert!(futures::poll!(Box::pin(watch.next())).is_pending());
    }
    let rest = futures::future::join_all(watches.iter_mut().skip(taken).map(next)).await;
    assert!(rest.iter().all(|one| *one == told(2, "a")));
}
