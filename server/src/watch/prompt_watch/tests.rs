//! Streams on a real store, whose reads are counted.

use std::sync::atomic::{AtomicUsize, Ordering};

use prompt_ledger_domain::content::VersionContent;
use prompt_ledger_domain::ids::{PromptId, VersionId};
use prompt_ledger_domain::prompt::Version;
use prompt_ledger_domain::prompt_log::AskingKey;
use prompt_ledger_domain::versioning::checksum;
use prompt_ledger_runtime::config::{Config, Process, WatchConfig};
use prompt_ledger_runtime::new_id;
use prompt_ledger_store::{Access, ChangedPrompt, PutPrompt, Registry, RegistryFeed};
use prompt_ledger_store_sqlite::Sqlite;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::watch::{ProjectHeads, PromptWatchFilter, PromptWatches, StreamLimits};

/// A store that counts what is read of it.
struct CountedStore {
    store: Sqlite,
    pages: AtomicUsize,
    states: AtomicUsize,
}

#[tonic::async_trait]
impl RegistryFeed for CountedStore {
    async fn revision(&self, project: ProjectId) -> Result<i64> {
        self.store.revision(project).await
    }

    async fn changed_after(&self, project: ProjectId, after: i64, limit: usize) -> Result<(Vec<ChangedPrompt>, i64)> {
        self.pages.fetch_add(1, Ordering::Relaxed);
        self.store.changed_after(project, after, limit).await
    }

    async fn prompts_named(&self, project: ProjectId, names: &[&str]) -> Result<Vec<Prompt>> {
        self.states.fetch_add(1, Ordering::Relaxed);
        self.store.prompts_named(project, names).await
    }

    async fn versions_numbered(&self, of: &[(PromptId, i32)]) -> Result<Vec<Version>> {
        self.store.versions_numbered(of).await
    }
}

struct Kit {
    store: Arc<CountedStore>,
    heads: Arc<ProjectHeads>,
    watches: Arc<PromptWatches>,
    project: ProjectId,
    _folder: TempDir,
}

impl Kit {
    async fn new() -> Self {
        Self::beating(Duration::from_secs(60)).await
    }

    /// With this time between heartbeats.
    async fn beating(heartbeat: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("ledger.db")).await.unwrap();
        let project = store.project("default").await.unwrap().unwrap().id;
        let store = Arc::new(CountedStore { store, pages: AtomicUsize::new(0), states: AtomicUsize::new(0) });
        let config = Config::read(Process::Server, [], |_| None).unwrap().watch;
        let streams = StreamLimits::new(WatchConfig { heartbeat, ..config }, CancellationToken::new());
        let heads = Arc::<ProjectHeads>::default();
        let watches = PromptWatches::new(store.clone(), Arc::clone(&heads), streams);
        Self { store, heads, watches, project, _folder: folder }
    }

    /// Writes an active prompt; returns the project's revision, of which nobody is told.
    async fn put(&self, name: &str, text: &str) -> i64 {
        let put = PutPrompt {
            name: name.into(),
            content: VersionContent::text(text),
            checksum_hash: checksum(text),
            variables: vec![],
            description: None,
            owner_team: None,
            tags: None,
            created_by: String::new(),
            note: String::new(),
            set_active: true,
            labels: vec![],
            create_only: false,
            etag: None,
            prompt_id: PromptId(new_id()),
            version_id: VersionId(new_id()),
            key: AskingKey::default(),
        };
        self.store.store.put_prompt(self.project, put).await.unwrap().revision
    }

    async fn watch(&self, prefix: &str, after: i64) -> PromptWatch {
        let filter = PromptWatchFilter::new(vec![], prefix.into());
        self.watches.watch(self.project, 1, filter, after, None).await.unwrap()
    }

    /// Pages and states that were read since the last call.
    fn reads(&self) -> (usize, usize) {
        (self.store.pages.swap(0, Ordering::Relaxed), self.store.states.swap(0, Ordering::Relaxed))
    }
}

/// The next message in short form: its revision, and a prompt's name or what it is.
async fn next(watch: &mut PromptWatch) -> (i64, String) {
    let PromptEvent { revision, message } = watch.next().await.unwrap().unwrap();
    let what = match message {
        PromptMessage::Change(part) => part.prompt.name.clone(),
        PromptMessage::Synced => "synced".into(),
        PromptMessage::Heartbeat => "heartbeat".into(),
    };
    (revision, what)
}

/// The next message but heartbeats at this revision.
async fn after_heartbeats(watch: &mut PromptWatch, revision: i64) -> (i64, String) {
    loop {
        let message = next(watch).await;
        if message != told(revision, "heartbeat") {
            return message;
        }
    }
}

fn told(revision: i64, what: &str) -> (i64, String) {
    (revision, what.into())
}

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
    assert_eq!(kit.reads(), (1, 3), "one page, and 16 prompts at once");
    let revision = kit.put("p7", "two").await;
    kit.heads.reached(kit.project, revision);
    let all = futures::future::join_all(watches.iter_mut().map(next)).await;
    assert!(all.iter().all(|one| *one == told(41, "p7")), "{all:?}");
    assert_eq!(kit.reads(), (1, 1));
}

#[tokio::test]
async fn what_nobody_tells_of_is_not_looked_for_and_heartbeats_go_on() {
    let kit = Kit::beating(Duration::from_millis(100)).await;
    let mut watch = kit.watch("a", 0).await;
    assert_eq!(next(&mut watch).await, told(0, "synced"));
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
    assert_eq!(next(&mut watch).await, told(2, "heartbeat"));
    assert!(kit.reads().0 <= 2);
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
    let mut names = Vec::new();
    let synced = loop {
        match next(&mut watch).await {
            (0, name) => names.push(name),
            synced => break synced,
        }
    };
    // The stream began at revision 20; what came behind it is told before or after `synced`.
    assert!(synced.0 >= 20 && synced.1 == "synced", "{synced:?}");
    assert!((1..20).all(|number| names.contains(&format!("p{number:02}"))), "{names:?}");
    kit.heads.reached(kit.project, 22);
    let mut last = synced.0;
    while last < 22 {
        last = next(&mut watch).await.0;
    }
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
                std::task::Poll::Ready(event) => {
                    assert_eq!(event, told(2, "a"));
                    taken += 1;
                }
                std::task::Poll::Pending => waiting.push(next),
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
