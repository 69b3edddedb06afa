//! Who is calling, and in which project.

use std::sync::Arc;

use prompt_ledger_domain::field::{self, Name};
use prompt_ledger_domain::secret::Secret;
use prompt_ledger_domain::{Error, Reason, Result};
use prompt_ledger_store::{Access, ApiKey, Project};
use sha2::{Digest, Sha256};

use super::cache::{Cache, Freshness};
use super::refresh::Confirm;

/// The key that works without being made, and only while the server listens on loopback.
pub const DEVELOPMENT_KEY: &str = "dev-key-change-in-production";
/// The project of a system key that names none.
pub const DEFAULT_PROJECT: &str = "default";

/// Who asks, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Everything that is read or written belongs to it.
    pub project: Project,
    /// Stands for the key, to count by.
    pub key: u64,
}

/// Lets callers in by their key. Holds keys and projects.
pub struct Gatekeeper {
    store: Arc<dyn Access>,
    /// The hashes of system keys that stand in no table.
    own_keys: Vec<[u8; 32]>,
    keys: Cache<[u8; 32], ApiKey>,
    projects: Cache<String, Project>,
    /// Where there are other servers: a look before each call.
    confirm: Option<Confirm>,
}

/// What a key is kept as.
#[must_use]
pub fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

impl Gatekeeper {
    /// A gatekeeper that also takes `api_key`, and the development key where that is allowed.
    pub fn new(
        store: Arc<dyn Access>,
        freshness: &Arc<Freshness>,
        api_key: Option<&Secret>,
        development_key: bool,
    ) -> Self {
        let development_key = development_key.then_some(DEVELOPMENT_KEY);
        let own_keys = api_key.map(Secret::expose).into_iter().chain(development_key).map(hash).collect();
        let (keys, projects) = (Cache::new(Arc::clone(freshness)), Cache::new(Arc::clone(freshness)));
        Self { store, own_keys, keys, projects, confirm: None }
    }

    /// With a look at the store before each call.
    #[must_use]
    pub fn confirming(self, confirm: Option<Confirm>) -> Self {
        Self { confirm, ..self }
    }

    /// Lets a caller in. `project` is what a system key may name.
    pub async fn admit(&self, key: Option<&str>, project: Option<&str>) -> Result<Arc<Caller>> {
        let key = key.ok_or_else(|| {
            let message = "no API key was sent; put it into the metadata `x-api-key` (or `authorization: Bearer KEY`)";
            Error::new(Reason::KeyMissing, message)
        })?;
        if let Some(confirm) = &self.confirm {
            confirm.now().await?;
        }
        let hash = hash(key);
        if self.own_keys.contains(&hash) {
            return self.enter(&hash, project.unwrap_or(DEFAULT_PROJECT)).await;
        }
        let known = self.keys.get_or_read(hash, |_| 256, async { self.store.key(&hash).await }).await?;
        let known = known.filter(|key| key.revoked_at.is_none()).ok_or_else(|| {
            let message = "the API key is not known here, or revoked; `prompt-ledger keys create` makes one";
            Error::new(Reason::KeyInvalid, message)
        })?;
        match (&known.project, project) {
            (None, project) => self.enter(&hash, project.unwrap_or(DEFAULT_PROJECT)).await,
            (Some(own), Some(named)) if own.name != named => Err(no_project(named)),
            (Some(own), _) => Ok(Arc::new(Caller { project: own.clone(), key: short(&hash) })),
        }
    }

    async fn enter(&self, hash: &[u8; 32], name: &str) -> Result<Arc<Caller>> {
        Name::parse("x-ledger-project", name).map_err(|_| no_project(name))?;
        let read = async { self.store.project(name).await };
        let project = self.projects.get_or_read(name.to_owned(), |_| 256, read).await?;
        let project = project.ok_or_else(|| no_project(name))?;
        Ok(Arc::new(Caller { project: (*project).clone(), key: short(hash) }))
    }

    /// Notes the present revision of keys and projects.
    pub fn apply(&self, revision: i64) {
        self.keys.apply(revision);
        self.projects.apply(revision);
    }
}

/// Enough of a hash to tell keys apart.
fn short(hash: &[u8; 32]) -> u64 {
    hash.iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte))
}

fn no_project(name: &str) -> Error {
    let name = field::shown(name);
    let message = format!("no project `{name}` for this key; `prompt-ledger keys create --project {name}` makes one");
    Error::new(Reason::ProjectNotFound, message).about("project", name)
}
