//! The processes of a deployment, and the provider instances that each can call.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_domain::provider::ProviderTraits;

/// The part of a process in its deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessKind {
    /// Accepts executions, and runs those within their call.
    Server,
    /// Runs what is queued.
    Worker,
    /// Both in one process: `dev`.
    Dev,
}

impl ProcessKind {
    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Worker => "worker",
            Self::Dev => "dev",
        }
    }
}

/// What a process tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessRecord {
    /// Unique among all processes.
    pub id: String,
    /// Its part in the deployment.
    pub kind: ProcessKind,
    /// The instances that it can call, by name.
    pub providers: BTreeMap<String, ProviderTraits>,
    /// The release that it is of, e.g. `0.1.0`.
    pub release: String,
}

/// A process that told of itself within the last [`KNOWN_FOR`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenProcess {
    /// Unique among all processes.
    pub id: String,
    /// Whether it runs what is queued.
    pub takes_queued: bool,
    /// The instances that it can call, by name.
    pub providers: BTreeMap<String, ProviderTraits>,
    /// The release that it is of.
    pub release: String,
    /// Time since it last told, by the database's clock.
    pub age: Duration,
    /// Whether it has ended in order since.
    pub has_left: bool,
}

/// How long after it told a process counts as running.
pub const LIVE_FOR: Duration = Duration::from_secs(30);

/// How long what a process told counts.
pub const KNOWN_FOR: Duration = Duration::from_secs(24 * 3_600);

/// How long a process is kept of which another one, seen later, has told the same.
pub const SUPERSEDED_FOR: Duration = Duration::from_secs(300);

/// What the processes tell of themselves.
#[async_trait]
pub trait Processes: Send + Sync {
    /// Records that the process runs, as of now by the database's clock, and what it has, in place of what it told
    /// before.
    async fn announce(&self, process: &ProcessRecord) -> Result<()>;

    /// Records that the process has ended. What it told still counts, so that a provider whose only worker is restarted
    /// stays known.
    async fn leave(&self, id: &str) -> Result<()>;

    /// The processes that told of themselves within [`KNOWN_FOR`], the latest first.
    async fn processes(&self) -> Result<Vec<SeenProcess>>;
}
