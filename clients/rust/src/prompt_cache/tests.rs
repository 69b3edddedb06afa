//! A cache that is fed by hand.

use std::collections::HashSet;
use std::path::Path;

use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::*;

/// A cache, and the end that feeds it.
struct Fed {
    cache: PromptCache,
    feed: UnboundedSender<Result<PromptUpdate, WatchError>>,
}

impl Fed {
    fn new() -> Self {
        Self::kept_in(None, Ok(None))
    }

    fn kept_in(file: Option<CacheFile>, kept: Result<Option<KeptPrompts>, CacheFileError>) -> Self {
        let (feed, fed) = unbounded_channel();
        let updates = futures::stream::unfold(fed, |mut fed| async move { Some((fed.recv().await?, fed)) });
        Self { cache: PromptCache::fed_by(updates.boxed(), file, kept), feed }
    }

    /// One that begins with what the file holds.
    fn begins_with(file: &CacheFile) -> Self {
        Self::kept_in(Some(file.clone()), file.read())
    }

    fn tell(&self, updates: impl IntoIterator<Item = PromptUpdate>) {
        for update in updates {
            self.feed.send(Ok(update)).unwrap();
        }
    }

    /// Tells that prompts were put at revisions from this one on.
    fn put(&self, revision: i64, names: &[&str]) {
        for (revision, name) in (revision..).zip(names) {
            self.tell([put(name, revision), PromptUpdate::Reached(revision)]);
        }
    }

    /// Waits until a state is there that is enough.
    async fn until(&self, enough: impl Fn(&FeedState) -> bool) {
        self.cache.until(enough).await.unwrap();
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.cache.names();
        names.sort();
        names
    }
}

fn put(name: &str, revision: i64) -> PromptUpdate {
    let prompt = v1::Prompt { name: name.into(), revision, active_version_number: Some(1), ..v1::Prompt::default() };
    let version = v1::PromptVersion { version_number: 1, ..v1::PromptVersion::default() };
    PromptUpdate::Put { prompt: Box::new(prompt), versions: vec![version] }
}

fn only(names: &[&str]) -> PromptUpdate {
    PromptUpdate::Only(names.iter().map(|name| (*name).to_owned()).collect::<HashSet<_>>())
}

fn file(folder: &Path) -> CacheFile {
    CacheFile::new(folder.join("prompts"), "http://here", "", &"pl_a".into(), &v1::WatchPromptsRequest::default())
}

/// A folder, and a file in it that had all of these when it was written.
async fn file_with(names: &[&str]) -> (TempDir, CacheFile, SystemTime) {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path());
    let fed = Fed::begins_with(&file);
    fed.put(1, names);
    fed.tell([PromptUpdate::Current]);
    fed.cache.synced().await.unwrap();
    fed.cache.keep().await.unwrap();
    let current_at = fed.cache.held.state.borrow().current_at;
    (folder, file, current_at)
}

fn millis(time: SystemTime) -> u128 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()
}

#[tokio::test]
async fn a_cache_is_stale_since_nothing_was_missing_for_the_last_time() {
    let before = SystemTime::now();
    let fed = Fed::new();
    let made = fed.cache.stale_since().unwrap();
    assert!(before <= made && made <= SystemTime::now());
    fed.put(1, &["a"]);
    fed.until(|state| state.revision == 1).await;
    assert_eq!(fed.cache.stale_since(), Some(made), "not all has been told");
    let before = SystemTime::now();
    fed.tell([PromptUpdate::Current]);
    fed.cache.synced().await.unwrap();
    assert_eq!(fed.cache.stale_since(), None);
    let after = SystemTime::now();
    // A change does not tell that nothing else is missing.
    fed.put(2, &["a"]);
    fed.tell([PromptUpdate::Behind]);
    fed.until(|state| state.is_stale).await;
    let since = fed.cache.stale_since().unwrap();
    assert!(before <= since && since <= after);
    fed.put(3, &["a"]);
    fed.tell([PromptUpdate::Behind]);
    fed.put(4, &["a"]);
    fed.until(|state| state.revision == 4).await;
    assert_eq!(fed.cache.stale_since(), Some(since), "it stays until everything is here");
    fed.tell([PromptUpdate::Current]);
    fed.until(|state| !state.is_stale).await;
    assert_eq!(fed.cache.stale_since(), None);
}

#[tokio::test]
async fn after_a_restored_ledger_what_was_reached_is_not() {
    let fed = Fed::new();
    fed.put(59, &["a", "b"]);
    fed.tell([PromptUpdate::Current]);
    fed.cache.reached(60).await.unwrap();
    fed.tell([PromptUpdate::Behind, PromptUpdate::Reached(0)]);
    fed.until(|state| state.revision == 0).await;
    let mut reached = Box::pin(fed.cache.reached(60));
    assert!(futures::poll!(&mut reached).is_pending());
    assert_eq!(
        (fed.names().len(), fed.cache.get("a", None).is_some()),
        (2, true),
        "the last state is served meanwhile"
    );
    assert!(fed.cache.stale_since().is_some());
    // Everything is lost.
    fed.tell([only(&[]), PromptUpdate::Current]);
    fed.until(|state| !state.is_stale).await;
    assert!(fed.names().is_empty() && futures::poll!(&mut reached).is_pending());
    fed.put(60, &["c"]);
    reached.await.unwrap();
    assert_eq!(fed.names(), ["c"]);
}

#[tokio::test]
async fn each_listener_is_told_the_names_of_what_has_changed() {
    let fed = Fed::new();
    let mut first = fed.cache.changes();
    fed.put(1, &["a", "b", "a"]);
    fed.tell([PromptUpdate::Current]);
    fed.cache.synced().await.unwrap();
    assert_eq!(first.next().await.unwrap(), ["b", "a"], "each once, in the order of their last changes");
    let mut second = fed.cache.changes();
    // All is told again from the beginning: `a` has changed meanwhile, and `b` is gone.
    fed.tell([put("a", 9), only(&["a"]), PromptUpdate::Reached(9), PromptUpdate::Current]);
    fed.cache.reached(9).await.unwrap();
    for listener in [&mut first, &mut second] {
        assert_eq!(listener.next().await.unwrap(), ["a", "b"]);
        assert!(futures::poll!(Box::pin(listener.next())).is_pending());
    }
    fed.tell([put("a", 9), PromptUpdate::Reached(10)]);
    fed.cache.reached(10).await.unwrap();
    assert!(futures::poll!(Box::pin(first.next())).is_pending(), "the same state is no change");
    // What was told last is told, and then that nothing more will be.
    fed.put(11, &["c"]);
    fed.feed.send(Err(WatchError::Unreadable)).unwrap();
    assert_eq!(first.next().await.unwrap(), ["c"]);
    assert!(matches!(first.next().await, Err(WatchError::Unreadable)));
    assert!(fed.cache.failure().is_some() && fed.cache.stale_since().is_some());
}

#[tokio::test]
async fn a_refusal_ends_what_waits_for_the_first_sync_but_not_reading() {
    let fed = Fed::new();
    fed.put(1, &["a"]);
    fed.feed.send(Err(WatchError::Unreadable)).unwrap();
    assert!(matches!(fed.cache.synced().await, Err(WatchError::Unreadable)));
    assert_eq!(fed.names(), ["a"]);
}

#[tokio::test]
async fn a_cache_begins_with_its_file_until_the_server_has_told_everything() {
    let (_folder, file, current_at) = file_with(&["a", "b"]).await;
    let fed = Fed::begins_with(&file);
    assert_eq!((fed.names(), fed.cache.get("a", None).is_some()), (vec!["a".to_owned(), "b".to_owned()], true));
    assert_eq!(fed.cache.stale_since().map(millis), Some(millis(current_at)));
    assert_eq!((fed.cache.revision(), fed.cache.file_failure()), (0, None));
    let mut changes = fed.cache.changes();
    assert!(futures::poll!(Box::pin(fed.cache.synced())).is_pending());
    // `a` was left as it is, `b` is gone.
    fed.tell([put("a", 1), put("c", 3), only(&["a", "c"]), PromptUpdate::Reached(3), PromptUpdate::Current]);
    fed.cache.synced().await.unwrap();
    assert_eq!((changes.next().await.unwrap(), fed.cache.stale_since()), (vec!["c".into(), "b".into()], None));
    assert_eq!(fed.names(), ["a", "c"]);
}

#[tokio::test]
async fn the_file_follows_what_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path());
    let held = || file.read().unwrap().map(|kept| kept.states.len());
    let fed = Fed::begins_with(&file);
    fed.put(1, &["a", "b"]);
    fed.until(|state| state.revision == 2).await;
    fed.cache.keep().await.unwrap();
    assert_eq!(held(), None, "what is not whole yet is not kept");
    // Each writing is noted.
    let mut states = fed.cache.held.state.subscribe();
    fed.tell([PromptUpdate::Current]);
    while held() != Some(2) {
        states.changed().await.unwrap();
    }
    fed.put(3, &["c"]);
    fed.tell([PromptUpdate::Current]);
    while held() != Some(3) {
        states.changed().await.unwrap();
    }
    // Where nothing has changed it is not written again.
    let open = fed.cache.held.file.as_ref().unwrap();
    drop(open.writing.lock().await);
    std::fs::remove_file(folder.path().join("prompts")).unwrap();
    fed.tell([PromptUpdate::Current, PromptUpdate::Reached(4)]);
    fed.until(|state| state.revision == 4).await;
    drop(open.writing.lock().await);
    assert_eq!(held(), None);
    fed.cache.keep().await.unwrap();
    assert_eq!(held(), Some(3));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_ignored_and_replaced_and_the_cache_says_so() {
    let (folder, file, _) = file_with(&["a", "b"]).await;
    let path = folder.path().join("prompts");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let fed = Fed::begins_with(&file);
    assert_eq!((fed.cache.file_failure(), fed.names().len()), (Some(CacheFileError::Damaged(path.clone())), 0));
    fed.put(1, &["c"]);
    fed.tell([PromptUpdate::Current]);
    fed.until(|state| state.file_failure.is_none()).await;
    assert_eq!(file.read().unwrap().unwrap().states.len(), 1);
    // What cannot be written is told, and tried again.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir_all(path.join("in the way")).unwrap();
    fed.put(2, &["d"]);
    fed.tell([PromptUpdate::Current]);
    fed.until(|state| state.file_failure.is_some()).await;
    std::fs::remove_dir_all(&path).unwrap();
    fed.tell([PromptUpdate::Current]);
    fed.until(|state| state.file_failure.is_none()).await;
    assert_eq!(file.read().unwrap().unwrap().states.len(), 2);
}
