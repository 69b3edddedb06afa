use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tonic::Status;

use crate::LOG;
use crate::cache_file::{CacheFile, CacheFileError, KeptPrompts};
use crate::call_preparation::Connection;
use crate::error::WatchError;
use crate::following::{MessageStream, OpenStream, WatchTimeouts, follow};
use crate::prompt_reader::{PromptReader, PromptUpdate};
use crate::prompt_table::{PromptState, PromptTable};

/// Prompts in memory, each with its active version and those that its labels point at, as they are in the ledger: a change
/// is here within a moment of its write. Reading is no call and never waits. While the server is away the last state is
/// served, and [`stale_since`](Self::stale_since) says since when; what changed meanwhile is here once it is back.
///
/// Clones share what is held; it is fed until the last one is dropped. However often a stream breaks, another is opened, after
/// 0.1 to 5 s or the delay that the server asked for: only a refusal that would be repeated ends that, such as a key that is
/// revoked ([`failure`](Self::failure)).
///
/// A cache that is [kept in a file](crate::Client::prompt_cache_kept_in) begins with what that holds.
#[derive(Clone)]
pub struct PromptCache {
    held: Arc<HeldPrompts>,
    _feeding: Arc<Feeding>,
}

struct HeldPrompts {
    prompts: RwLock<PromptTable>,
    state: watch::Sender<FeedState>,
    file: Option<OpenCacheFile>,
}

struct OpenCacheFile {
    file: CacheFile,
    /// The edition that it has, or is about to have.
    edition: AtomicU64,
    /// Held while it is written.
    writing: Mutex<()>,
}

#[derive(Clone, Debug)]
struct FeedState {
    /// Everything up to this revision is here.
    revision: i64,
    /// Everything that was there has been told once.
    is_synced: bool,
    /// That of the prompts, once it is to be told.
    edition: u64,
    /// When the last message came by which nothing was missing; before the first: when the file had all, or the cache began.
    current_at: SystemTime,
    is_stale: bool,
    /// Why nothing will be told any more.
    failure: Option<WatchError>,
    /// Why the file could not be read or written last.
    file_failure: Option<CacheFileError>,
}

/// The task that feeds a cache; it ends when this is dropped.
struct Feeding(JoinHandle<()>);

impl Drop for Feeding {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl PromptCache {
    pub(crate) fn of(connection: Connection, filter: v1::WatchPromptsRequest, pace: WatchTimeouts) -> Self {
        Self::fed_by(updates(connection, filter, pace), None, Ok(None))
    }

    /// Begins with what the file holds.
    pub(crate) async fn kept_in(
        file: CacheFile,
        connection: Connection,
        filter: v1::WatchPromptsRequest,
        pace: WatchTimeouts,
    ) -> Self {
        let reading = file.clone();
        let kept = apart(&file, move || reading.read()).await;
        Self::fed_by(updates(connection, filter, pace), Some(file), kept)
    }

    fn fed_by(
        updates: BoxStream<'static, Result<PromptUpdate, WatchError>>,
        file: Option<CacheFile>,
        kept: Result<Option<KeptPrompts>, CacheFileError>,
    ) -> Self {
        let (kept, file_failure) = match kept {
            Ok(kept) => (kept, None),
            Err(error) => (None, Some(error)),
        };
        let KeptPrompts { states, current_at } =
            kept.unwrap_or_else(|| KeptPrompts { states: Vec::new(), current_at: SystemTime::now() });
        let prompts = PromptTable::of(states);
        let state = FeedState {
            revision: 0,
            is_synced: false,
            edition: prompts.edition(),
            current_at,
            is_stale: true,
            failure: None,
            file_failure: None,
        };
        // Whatever it holds, the first one that is whole is written.
        let open = |file| OpenCacheFile { file, edition: AtomicU64::new(u64::MAX), writing: Mutex::default() };
        let (prompts, state) = (RwLock::new(prompts), watch::Sender::new(state));
        let held = Arc::new(HeldPrompts { prompts, state, file: file.map(open) });
        held.note_file(file_failure);
        let feeding = tokio::spawn(Arc::clone(&held).feed(updates));
        Self { held, _feeding: Arc::new(Feeding(feeding)) }
    }

    /// Waits until the server has told every prompt that is watched. Needed once, before the first read, unless what a file
    /// held is good enough; wait no longer than you can where the server may be away.
    ///
    /// # Errors
    ///
    /// Where the server refuses the watch.
    pub async fn synced(&self) -> Result<(), WatchError> {
        self.until(|state| state.is_synced).await
    }

    /// Waits until every change up to this revision is here, such as the revision that a write answered. Where the write is
    /// of a prompt that is not watched, that is told by the next heartbeat, within some 15 seconds. A revision that the ledger
    /// has lost, because it was restored from a backup, is reached once it has come as far again.
    ///
    /// # Errors
    ///
    /// Where the server refuses the watch.
    pub async fn reached(&self, revision: i64) -> Result<(), WatchError> {
        self.until(|state| state.is_synced && state.revision >= revision).await
    }

    async fn until(&self, enough: impl Fn(&FeedState) -> bool) -> Result<(), WatchError> {
        let mut states = self.held.state.subscribe();
        let found = states.wait_for(|state| enough(state) || state.failure.is_some()).await;
        match found {
            Ok(state) if enough(&state) => Ok(()),
            Ok(state) => state.failure.clone().map_or(Ok(()), Err),
            // The sender lives as long as this cache.
            Err(_) => Ok(()),
        }
    }

    /// The version of a prompt that is active, or that a label of the prompt points at; archived prompts have theirs too.
    /// Absent where there is no such prompt or label, where it is not watched, and before it was told. `active` is the active
    /// version; `latest` is not held.
    #[must_use]
    pub fn get(&self, name: &str, label: Option<&str>) -> Option<Arc<v1::PromptVersion>> {
        self.held.prompts().get(name)?.version(label).cloned()
    }

    /// The prompt of this name; `archived_at` says that it is archived. Absent as in [`get`](Self::get).
    #[must_use]
    pub fn prompt(&self, name: &str) -> Option<Arc<v1::Prompt>> {
        self.held.prompts().get(name).map(|held| Arc::clone(&held.prompt))
    }

    /// The names of the prompts that are held, in no order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.held.prompts().states().map(|held| held.prompt.name.clone()).collect()
    }

    /// The revision up to which every change is here. 0 before [`synced`](Self::synced), and again until a ledger that was
    /// restored from a backup has told everything anew.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.held.state.borrow().revision
    }

    /// Tells which prompts change from now on. As many as are wanted may listen; none delays another, or the cache.
    #[must_use]
    pub fn changes(&self) -> PromptChanges {
        let seen = self.held.prompts().edition();
        PromptChanges { cache: self.clone(), seen }
    }

    /// Since when changes may be missing; absent while the cache has everything that the server knows.
    ///
    /// It is the time, by this process's clock, at which the last message came by which nothing was missing: `synced`, or a
    /// heartbeat of a stream that has told everything. What was written before that message was sent is all here. When a stream
    /// breaks, that is up to a heartbeat (15 s) before its last change, and up to [`silence`](crate::Options) before the break
    /// is noticed. It stays the same until everything that was missed is here. Before the first sync it is when the cache was
    /// made, which then has nothing; or, of what a file held, when that was complete.
    #[must_use]
    pub fn stale_since(&self) -> Option<SystemTime> {
        let state = self.held.state.borrow();
        state.is_stale.then_some(state.current_at)
    }

    /// Why the cache will not be fed any more; absent while it is, or is about to be.
    #[must_use]
    pub fn failure(&self) -> Option<WatchError> {
        self.held.state.borrow().failure.clone()
    }

    /// Why the cache's file could not be read at the beginning, or written since; absent where that went well, or there is none.
    /// The cache works without its file: what could not be read is ignored, and replaced by the next that is written. Each such
    /// failure is also logged as a warning, by `tracing`.
    #[must_use]
    pub fn file_failure(&self) -> Option<CacheFileError> {
        self.held.state.borrow().file_failure.clone()
    }

    /// Writes the cache's file now, if it has one and is synced. It is written by itself after the first sync, and after changes
    /// with the next heartbeat: call this before the process ends, so that the last changes, and the time up to which nothing
    /// was missing, are in it too.
    ///
    /// # Errors
    ///
    /// Where it cannot be written; the earlier one stays.
    pub async fn keep(&self) -> Result<(), CacheFileError> {
        self.held.keep().await
    }
}

impl fmt::Debug for PromptCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PromptCache").field("revision", &self.revision()).finish_non_exhaustive()
    }
}

/// Tells which prompts of a [`PromptCache`] have changed; it keeps the cache fed.
#[derive(Clone, Debug)]
pub struct PromptChanges {
    cache: PromptCache,
    /// The edition up to which changes have been told.
    seen: u64,
}

impl PromptChanges {
    /// Waits until prompts have changed since the last call, or have come, or are gone. Returns their names, each once, in the
    /// order of their last changes: several changes of a prompt may be told as one. The cache has their new states by then. A
    /// call that is given up before it returns loses nothing.
    ///
    /// # Errors
    ///
    /// Where the cache will not be fed any more, and everything has been told.
    pub async fn next(&mut self) -> Result<Vec<String>, WatchError> {
        let seen = self.seen;
        self.cache.until(|state| state.edition > seen).await?;
        let prompts = self.cache.held.prompts();
        self.seen = prompts.edition();
        Ok(prompts.changed_since(seen))
    }
}

/// Of the streams of this filter.
fn updates(
    connection: Connection,
    filter: v1::WatchPromptsRequest,
    pace: WatchTimeouts,
) -> BoxStream<'static, Result<PromptUpdate, WatchError>> {
    // What is held is of use however long the server is away.
    let pace = WatchTimeouts { patience: Duration::MAX, ..pace };
    follow(connection, PromptReader::new(filter), pace)
}

/// Reads or writes a file, off the runtime's threads.
async fn apart<T: Send + 'static>(
    file: &CacheFile,
    work: impl FnOnce() -> Result<T, CacheFileError> + Send + 'static,
) -> Result<T, CacheFileError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(file.io(&error.into())))
}

impl HeldPrompts {
    fn prompts(&self) -> RwLockReadGuard<'_, PromptTable> {
        self.prompts.read().unwrap_or_else(PoisonError::into_inner)
    }

    async fn feed(self: Arc<Self>, mut updates: BoxStream<'static, Result<PromptUpdate, WatchError>>) {
        while let Some(update) = updates.next().await {
            match update {
                Ok(PromptUpdate::Put { prompt, versions }) => {
                    let state = PromptState::new(*prompt, versions);
                    self.change(|prompts| prompts.put(state));
                }
                Ok(PromptUpdate::Only(names)) => self.change(|prompts| prompts.keep_only(&names)),
                // Told after the change that it is of.
                Ok(PromptUpdate::Reached(revision)) => self.note(|state| state.revision = revision),
                Ok(PromptUpdate::Current) => {
                    let now = SystemTime::now();
                    self.note(|state| (state.is_synced, state.is_stale, state.current_at) = (true, false, now));
                    self.keep_apart();
                }
                Ok(PromptUpdate::Behind) => self.note(|state| state.is_stale = true),
                Err(failure) => {
                    self.note(|state| (state.is_stale, state.failure) = (true, Some(failure)));
                }
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut PromptTable)) {
        let mut prompts = self.prompts.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut prompts);
        let edition = prompts.edition();
        drop(prompts);
        self.note(|state| state.edition = edition);
    }

    fn note(&self, change: impl FnOnce(&mut FeedState)) {
        self.state.send_modify(change);
    }

    fn note_file(&self, failure: Option<CacheFileError>) {
        if let Some(error) = &failure {
            tracing::warn!(target: LOG, %error, "a cache of prompts goes on without its file");
        }
        self.note(|state| state.file_failure = failure);
    }

    /// Begins to write the file, where it does not have what is held.
    fn keep_apart(self: &Arc<Self>) {
        let Some(open) = &self.file else { return };
        let edition = self.prompts().edition();
        if open.edition.swap(edition, Ordering::Relaxed) != edition {
            let this = Arc::clone(self);
            tokio::spawn(async move { this.keep().await });
        }
    }

    async fn keep(&self) -> Result<(), CacheFileError> {
        let Some(OpenCacheFile { file, edition, writing }) = &self.file else { return Ok(()) };
        let _writing = writing.lock().await;
        let FeedState { is_synced, current_at, .. } = *self.state.borrow();
        if !is_synced {
            return Ok(());
        }
        let states: Vec<_> = {
            let prompts = self.prompts();
            edition.store(prompts.edition(), Ordering::Relaxed);
            prompts.states().cloned().collect()
        };
        let (kept, to) = (KeptPrompts { states, current_at }, file.clone());
        let written = apart(file, move || to.write(&kept)).await;
        if written.is_err() {
            // The next heartbeat tries again.
            edition.store(u64::MAX, Ordering::Relaxed);
        }
        self.note_file(written.clone().err());
        written
    }
}

impl OpenStream for PromptReader {
    fn call(&self) -> &'static str {
        "registry.watch_prompts"
    }

    fn open(
        &self,
        connection: Connection,
    ) -> BoxFuture<'static, Result<MessageStream<v1::WatchPromptsResponse>, Status>> {
        let (request, mut registry) = (self.ask(), RegistryServiceClient::new(connection));
        async move { registry.watch_prompts(request).await.map(|answer| answer.into_inner().boxed()) }.boxed()
    }
}

#[cfg(test)]
mod tests;
