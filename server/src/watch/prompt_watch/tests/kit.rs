//! A real store whose reads are counted and can be held up, and streams on it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::front::answers::Answers;
use crate::grpc::status;
use crate::watch::{ProjectHeads, PromptWatchFilter, PromptWatches, StreamLimits};

/// A store that counts what is read of it.
pub(super) struct CountedStore {
    pub(super) store: Sqlite,
    revisions: AtomicUsize,
    pages: AtomicUsize,
    states: AtomicUsize,
    versions: AtomicUsize,
    /// Revisions and pages are not read while somebody holds it for writing.
    pub(super) gate: RwLock<()>,
}

/// How often each was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ReadCounts {
    pub(super) revisions: usize,
    pub(super) pages: usize,
    /// Reads of prompts.
    pub(super) states: usize,
    /// The versions in all reads.
    pub(super) versions: usize,
}

#[tonic::async_trait]
impl RegistryFeed for CountedStore {
    async fn revision(&self, project: ProjectId) -> Result<i64> {
        self.revisions.fetch_add(1, Ordering::Relaxed);
        let _open = self.gate.read().await;
        self.store.revision(project).await
    }

    async fn changed_after(&self, project: ProjectId, after: i64, limit: usize) -> Result<(Vec<ChangedPrompt>, i64)> {
        self.pages.fetch_add(1, Ordering::Relaxed);
        let _open = self.gate.read().await;
        self.store.changed_after(project, after, limit).await
    }

    async fn prompts_named(&self, project: ProjectId, names: &[&str]) -> Result<Vec<Prompt>> {
        self.states.fetch_add(1, Ordering::Relaxed);
        self.store.prompts_named(project, names).await
    }

    async fn versions_numbered(&self, of: &[(PromptId, i32)]) -> Result<Vec<Version>> {
        self.versions.fetch_add(of.len(), Ordering::Relaxed);
        self.store.versions_numbered(of).await
    }
}

pub(super) struct Kit {
    pub(super) store: Arc<CountedStore>,
    pub(super) heads: Arc<ProjectHeads>,
    pub(super) watches: Arc<PromptWatches>,
    pub(super) project: ProjectId,
    _folder: TempDir,
}

impl Kit {
    pub(super) async fn new() -> Self {
        Self::beating(Duration::from_secs(60)).await
    }

    /// With this time between heartbeats.
    pub(super) async fn beating(heartbeat: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("ledger.db")).await.unwrap();
        let project = store.project("default").await.unwrap().unwrap().id;
        let [revisions, pages, states, versions] = [(); 4].map(|()| AtomicUsize::new(0));
        let store = Arc::new(CountedStore { store, revisions, pages, states, versions, gate: RwLock::default() });
        let config = Config::read(Process::Server, [], |_| None).unwrap().watch;
        let streams = StreamLimits::new(WatchConfig { heartbeat, ..config }, CancellationToken::new());
        let heads = Arc::<ProjectHeads>::default();
        let answers = Answers::new(&status::FORM);
        let watches = PromptWatches::new(store.clone(), Arc::clone(&heads), streams, &answers);
        Self { store, heads, watches, project, _folder: folder }
    }

    /// Writes an active prompt; returns the project's revision, of which nobody is told.
    pub(super) async fn put(&self, name: &str, text: &str) -> i64 {
        self.put_in(self.project, name, text, None).await
    }

    /// Writes a version, to which this label points, or which is active where there is none.
    pub(super) async fn put_in(&self, project: ProjectId, name: &str, text: &str, label: Option<&str>) -> i64 {
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
            set_active: label.is_none(),
            labels: label.map(ToOwned::to_owned).into_iter().collect(),
            create_only: false,
            etag: None,
            prompt_id: PromptId(new_id()),
            version_id: VersionId(new_id()),
            key: AskingKey::default(),
        };
        self.store.store.put_prompt(project, put).await.unwrap().revision
    }

    pub(super) async fn watch(&self, prefix: &str, after: i64) -> PromptWatch {
        let filter = PromptWatchFilter::new(vec![], prefix.into());
        self.watches.watch(self.project, 1, filter, after, None).await.unwrap()
    }

    /// What was read since the last call.
    pub(super) fn reads(&self) -> ReadCounts {
        let taken = |count: &AtomicUsize| count.swap(0, Ordering::Relaxed);
        let CountedStore { revisions, pages, states, versions, .. } = &*self.store;
        ReadCounts {
            revisions: taken(revisions),
            pages: taken(pages),
            states: taken(states),
            versions: taken(versions),
        }
    }
}

/// The next message in short form: its revision, and a prompt's name or what it is.
pub(super) async fn next(watch: &mut PromptWatch) -> (i64, String) {
    let (revision, what, _) = next_text(watch).await;
    (revision, what)
}

/// The same, with the text of the active version.
pub(super) async fn next_text(watch: &mut PromptWatch) -> (i64, String, String) {
    let PromptEvent { revision, message } = watch.next().await.unwrap().unwrap();
    let (what, text) = match message {
        PromptMessage::Change(part) => {
            let text = part.active.as_ref().and_then(|version| version.content.bare_text()).unwrap_or_default();
            (part.prompt.name.clone(), text.to_owned())
        }
        PromptMessage::Synced => ("synced".into(), String::new()),
        PromptMessage::Heartbeat { is_behind: false } => ("heartbeat".into(), String::new()),
        PromptMessage::Heartbeat { is_behind: true } => ("behind".into(), String::new()),
    };
    (revision, what, text)
}

/// The next message but heartbeats at this revision.
pub(super) async fn after_heartbeats(watch: &mut PromptWatch, revision: i64) -> (i64, String) {
    loop {
        let message = next(watch).await;
        if message != told(revision, "heartbeat") && message != told(revision, "behind") {
            return message;
        }
    }
}

pub(super) fn told(revision: i64, what: &str) -> (i64, String) {
    (revision, what.into())
}
