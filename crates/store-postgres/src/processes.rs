//! What the processes tell of themselves.

use std::sync::LazyLock;

use async_trait::async_trait;
use prompt_ledger_domain::Result;
use prompt_ledger_store::parameters::numbered;
use prompt_ledger_store::rows::processes::{providers, seen};
use prompt_ledger_store::{KNOWN_FOR, ProcessRecord, Processes, SUPERSEDED_FOR, SeenProcess};

use super::statement::{clean, micros, parameters};
use super::watched_pool::WatchedPool;
use super::{Postgres, error};

static ANNOUNCE: LazyLock<String> =
    LazyLock::new(|| numbered(include_str!("sql/announce.sql"), AnnounceParameters::NAMES));

parameters! {
    AnnounceParameters(process: &ProcessRecord, providers: &str) {
        id = clean(&process.id),
        kind = process.kind.as_str(),
        providers = providers,
        release = clean(&process.release),
    }
}

const LEAVE: &str = "UPDATE processes SET has_left = true WHERE id = $1";

static SEEN: LazyLock<String> = LazyLock::new(|| numbered(include_str!("sql/processes.sql"), &["known_for"]));

static FORGET: LazyLock<String> =
    LazyLock::new(|| numbered(include_str!("sql/forget_processes.sql"), &["known_for", "superseded_for"]));

#[async_trait]
impl Processes for Postgres {
    async fn announce(&self, process: &ProcessRecord) -> Result<()> {
        let providers = providers(&process.providers)?;
        error::again(|| AnnounceParameters::query(&ANNOUNCE, process, &providers).execute(&self.calls)).await.map(drop)
    }

    async fn leave(&self, id: &str) -> Result<()> {
        error::again(|| sqlx::query(LEAVE).bind(clean(id)).execute(&self.calls)).await.map(drop)
    }

    async fn processes(&self) -> Result<Vec<SeenProcess>> {
        let query = || sqlx::query(SEEN.as_str()).bind(micros(KNOWN_FOR)).fetch_all(&self.calls);
        error::again(query).await?.iter().map(seen).collect()
    }
}

/// Deletes those that no longer count.
pub(super) async fn forget(calls: &WatchedPool) -> Result<()> {
    let query = || sqlx::query(FORGET.as_str()).bind(micros(KNOWN_FOR)).bind(micros(SUPERSEDED_FOR)).execute(calls);
    error::again(query).await.map(drop)
}
