use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _};
use prompt_ledger_proto::v1;
use prompt_ledger_proto::v1::registry_service_client::RegistryServiceClient;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::Status;

use crate::error::WatchError;
use crate::following::{MessageStream, OpenStream, WatchTimeouts, follow};
use crate::options::Connection;
use crate::prompt_reader::{PromptReader, PromptUpdate};

/// Prompts in memory, each with its active version and those that its labels point at, as they are in the ledger: a change
/// is here within a moment of its write. Reading is no call and never waits. While the server is away the last state is
/// served, and [`stale_since`](Self::stale_since) says since when; what changed meanwhile is here once it is back.
///
/// Clones share what is held; it is fed until the last one is dropped. However often a stream breaks, another is opened:
/// only a refusal that would be repeated ends that, such as a key that is revoked ([`failure`](Self::failure)).
#[derive(Clone)]
pub struct PromptCache {
    held: Arc<HeldPrompts>,
    _feeding: Arc<Feeding>,
}

struct HeldPrompts {
    prompts: RwLock<HashMap<String, HeldPrompt>>,
    state: watch::Sender<FeedState>,
}

/// A prompt, with the versions that can be asked for.
struct HeldPrompt {
    prompt: Arc<v1::Prompt>,
    versions: Vec<Arc<v1::PromptVersion>>,
}

#[derive(Clone, Debug)]
struct FeedState {
    /// Everything up to this revision is here.
    revision: i64,
    /// Everything that was there has been told once.
    is_synced: bool,
    /// Absent while nothing is known to be missing.
    stale_since: Option<SystemTime>,
    /// Why nothing will be told any more.
    failure: Option<WatchError>,
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
        // What is held is of use however long the server is away.
        let pace = WatchTimeouts { patience: Duration::MAX, ..pace };
        let updates = follow(connection, PromptReader::new(filter), pace);
        let state = FeedState { revision: 0, is_synced: false, stale_since: Some(SystemTime::now()), failure: None };
        let held = Arc::new(HeldPrompts { prompts: RwLock::default(), state: watch::Sender::new(state) });
        let feeding = tokio::spawn(Arc::clone(&held).feed(updates));
        Self { held, _feeding: Arc::new(Feeding(feeding)) }
    }

    /// Waits until every prompt that is watched is here. Needed once, before the first read.
    ///
    /// # Errors
    ///
    /// Where the server refuses the watch.
    pub async fn synced(&self) -> Result<(), WatchError> {
        self.until(|state| state.is_synced).await
    }

    /// Waits until every change up to this revision is here, such as the revision that a write answered. Where the write is
    /// of a prompt that is not watched, that is told by the next heartbeat, within some 15 seconds.
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
        let prompts = self.held.prompts.read().unwrap_or_else(PoisonError::into_inner);
        let HeldPrompt { prompt, versions } = prompts.get(name)?;
        let number = match label {
            None | Some("active") => prompt.active_version_number?,
            Some(own) => prompt.labels.iter().find(|held| held.label == own)?.version_number,
        };
        versions.iter().find(|version| version.version_number == number).cloned()
    }

    /// The prompt of this name; `archived_at` says that it is archived. Absent as in [`get`](Self::get).
    #[must_use]
    pub fn prompt(&self, name: &str) -> Option<Arc<v1::Prompt>> {
        let prompts = self.held.prompts.read().unwrap_or_else(PoisonError::into_inner);
        prompts.get(name).map(|held| Arc::clone(&held.prompt))
    }

    /// The names of the prompts that are held, in no order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.held.prompts.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// The revision up to which every change is here; 0 before the first.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.held.state.borrow().revision
    }

    /// Waits until the revision is another one than `seen`, which this returns: changes may have come. Where nothing will
    /// come any more, it waits for ever.
    pub async fn changed(&self, seen: i64) -> i64 {
        let mut states = self.held.state.subscribe();
        match states.wait_for(|state| state.revision != seen).await {
            Ok(state) => state.revision,
            // The sender lives as long as this cache.
            Err(_) => seen,
        }
    }

    /// Since when changes may be missing; absent while the cache is fed.
    #[must_use]
    pub fn stale_since(&self) -> Option<SystemTime> {
        self.held.state.borrow().stale_since
    }

    /// Why the cache will not be fed any more; absent while it is.
    #[must_use]
    pub fn failure(&self) -> Option<WatchError> {
        self.held.state.borrow().failure.clone()
    }
}

impl fmt::Debug for PromptCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PromptCache").field("revision", &self.revision()).finish_non_exhaustive()
    }
}

impl HeldPrompts {
    async fn feed(self: Arc<Self>, mut updates: BoxStream<'static, Result<PromptUpdate, WatchError>>) {
        while let Some(update) = updates.next().await {
            match update {
                Ok(PromptUpdate::Put { prompt, versions }) => self.put(*prompt, versions),
                Ok(PromptUpdate::Only(names)) => self.keep_only(&names),
                // Told after the change that it is of.
                Ok(PromptUpdate::Reached(revision)) => self.note(|state| state.revision = revision),
                Ok(PromptUpdate::Current) => {
                    self.note(|state| (state.is_synced, state.stale_since) = (true, None));
                }
                Ok(PromptUpdate::Interrupted) => self.note(|state| {
                    state.stale_since.get_or_insert_with(SystemTime::now);
                }),
                Err(failure) => self.note(|state| {
                    state.stale_since.get_or_insert_with(SystemTime::now);
                    state.failure = Some(failure);
                }),
            }
        }
    }

    fn put(&self, prompt: v1::Prompt, versions: Vec<v1::PromptVersion>) {
        let name = prompt.name.clone();
        let held = HeldPrompt { prompt: Arc::new(prompt), versions: versions.into_iter().map(Arc::new).collect() };
        let replaced = self.prompts.write().unwrap_or_else(PoisonError::into_inner).insert(name, held);
        drop(replaced);
    }

    fn keep_only(&self, names: &HashSet<String>) {
        self.prompts.write().unwrap_or_else(PoisonError::into_inner).retain(|name, _| names.contains(name));
    }

    fn note(&self, change: impl FnOnce(&mut FeedState)) {
        self.state.send_modify(change);
    }
}

impl OpenStream for PromptReader {
    fn open(
        &self,
        connection: Connection,
    ) -> BoxFuture<'static, Result<MessageStream<v1::WatchPromptsResponse>, Status>> {
        let (request, mut registry) = (self.ask(), RegistryServiceClient::new(connection));
        async move { registry.watch_prompts(request).await.map(|answer| answer.into_inner().boxed()) }.boxed()
    }
}
