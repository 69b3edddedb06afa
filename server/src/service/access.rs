//! Who is calling, and in which project.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prompt_ledger_domain::field::Name;
use prompt_ledger_domain::secret::Secret;
use prompt_ledger_domain::{Error, Reason, Result};
use prompt_ledger_runtime::config::DEVELOPMENT_KEY;
use prompt_ledger_store::{Access, ApiKey, Project};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::cache::{Cache, Freshness};
use super::open_keys::OpenKeys;
use super::refresh::Confirm;

/// The project of a system key that names none.
pub const DEFAULT_PROJECT: &str = "default";

/// How many keys are looked up in the store at once, and for how long one waits for its turn.
const LOOKUPS: usize = 2;
const LOOKUP_WAIT: Duration = Duration::from_secs(1);

/// What a call says of its caller.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The API key.
    pub key: Option<&'a str>,
    /// The project that a system key names.
    pub project: Option<&'a str>,
    /// The header that says that the call came through a proxy.
    pub forwarded_by: Option<&'a str>,
}

/// Who asks, and where.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Everything that is read or written belongs to it.
    pub project: Project,
    /// Stands for the key, to count by.
    pub key: u64,
    /// Whether the key opens every project.
    pub system: bool,
    /// Fires once the key is known to be revoked.
    pub revoked: CancellationToken,
}

impl Caller {
    /// SCOPE_MISSING unless the key opens every project: `rpc` changes what all of them share.
    pub fn check_system(&self, rpc: &str) -> Result<()> {
        if self.system {
            return Ok(());
        }
        let message = format!(
            "{rpc} changes what all projects share, and the key of this call opens one project; use a system key: \
             API_KEY, or one that `prompt-ledger keys create --system` makes"
        );
        Err(Error::new(Reason::ScopeMissing, message))
    }
}

/// Lets callers in by their key. Holds keys and projects.
pub struct Authenticator {
    store: Arc<dyn Access>,
    /// The hash of a system key that stands in no table.
    api_key: Option<[u8; 32]>,
    /// Whether the development key is taken.
    development_key: bool,
    keys: Cache<[u8; 32], ApiKey>,
    /// Of keys that are neither in the cache nor known from before.
    lookups: Semaphore,
    open: OpenKeys,
    projects: Cache<String, Project>,
    /// Where there are other servers: a look before each call.
    confirm: Option<Confirm>,
}

/// What a key is kept as.
#[must_use]
pub fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// Whether it could be a key that `keys create` made: `pl_`, and 32 bytes.
fn has_form(key: &str) -> bool {
    let mut bytes = [0; 33];
    let random = key.strip_prefix("pl_").filter(|random| random.len() == 43);
    random.is_some_and(|random| URL_SAFE_NO_PAD.decode_slice(random, &mut bytes).is_ok())
}

impl Authenticator {
    /// An authenticator that also takes `api_key`, and the development key where that is allowed.
    pub fn new(
        store: Arc<dyn Access>,
        freshness: &Arc<Freshness>,
        api_key: Option<&Secret>,
        development_key: bool,
    ) -> Self {
        let api_key = api_key.map(|key| hash(key.expose()));
        let (keys, projects) = (Cache::new(Arc::clone(freshness)), Cache::new(Arc::clone(freshness)));
        let (lookups, open) = (Semaphore::new(LOOKUPS), OpenKeys::default());
        Self { store, api_key, development_key, keys, lookups, open, projects, confirm: None }
    }

    /// With a look at the store before each call.
    #[must_use]
    pub fn confirming(self, confirm: Option<Confirm>) -> Self {
        Self { confirm, ..self }
    }

    /// Lets a caller in.
    pub async fn admit(&self, credentials: Credentials<'_>) -> Result<Arc<Caller>> {
        let Credentials { key, project, forwarded_by } = credentials;
        let key = key.ok_or_else(|| {
            let message = "no API key was sent; put it into the metadata `x-api-key` (or `authorization: Bearer KEY`)";
            Error::new(Reason::KeyMissing, message)
        })?;
        let is_development_key = key == DEVELOPMENT_KEY;
        if is_development_key {
            self.check_development_key(forwarded_by)?;
        }
        let hash = hash(key);
        let is_configured = is_development_key || self.api_key == Some(hash);
        if !is_configured && !has_form(key) {
            return Err(not_known());
        }
        if let Some(confirm) = &self.confirm {
            confirm.now().await?;
        }
        if is_configured {
            return self.enter(&hash, project, CancellationToken::new()).await;
        }
        let (known, revoked) = self.known(&hash).await?;
        match (&known.project, project) {
            (None, project) => self.enter(&hash, project, revoked).await,
            (Some(own), Some(named)) if own.name != named => Err(Error::project_not_found(named)),
            (Some(own), _) => Ok(Arc::new(Caller { project: own.clone(), key: short(&hash), system: false, revoked })),
        }
    }

    fn check_development_key(&self, forwarded_by: Option<&str>) -> Result<()> {
        let why = match forwarded_by {
            _ if !self.development_key => "works in `prompt-ledger dev` on loopback alone".to_owned(),
            Some(header) => {
                format!("is for calls from this machine, and this one came through a proxy, as its `{header}` says")
            }
            None => return Ok(()),
        };
        let message = format!("the development key {why}; make a key with `prompt-ledger keys create`, or set API_KEY");
        Err(Error::new(Reason::KeyInvalid, message))
    }

    /// The key with that hash, and what fires when it is revoked.
    async fn known(&self, hash: &[u8; 32]) -> Result<(Arc<ApiKey>, CancellationToken)> {
        loop {
            let checks = self.open.checks();
            let known = self.keys.get_or_read(*hash, |_| 256, self.look_up(hash)).await?;
            let known = known.filter(|key| key.revoked_at.is_none()).ok_or_else(not_known)?;
            if let Some(revoked) = self.open.token(hash, checks) {
                return Ok((known, revoked));
            }
        }
    }

    /// Reads a key from the store. Anyone can ask for any number of keys that there are not: one that was good before need
    /// not wait behind them.
    async fn look_up(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>> {
        if self.open.knows(hash) {
            return self.store.key(hash).await;
        }
        let looking = tokio::time::timeout(LOOKUP_WAIT, self.lookups.acquire()).await;
        let Ok(Ok(_looking)) = looking else {
            let message = "too many API keys that are not known here are being looked up; try again";
            return Err(Error::new(Reason::Overloaded, message).retry_after(LOOKUP_WAIT));
        };
        self.store.key(hash).await
    }

    /// Lets a system key in.
    async fn enter(&self, hash: &[u8; 32], named: Option<&str>, revoked: CancellationToken) -> Result<Arc<Caller>> {
        let name = named.unwrap_or(DEFAULT_PROJECT);
        Name::parse("x-ledger-project", name).map_err(|_| Error::project_not_found(name))?;
        let read = async { self.store.project(name).await };
        let project = self.projects.get_or_read(name.to_owned(), |_| 256, read).await?;
        let project = project.ok_or_else(|| Error::project_not_found(name))?;
        Ok(Arc::new(Caller { project: (*project).clone(), key: short(hash), system: true, revoked }))
    }

    /// Notes the present revision of keys and projects.
    pub fn apply(&self, revision: i64) {
        self.keys.apply(revision);
        self.projects.apply(revision);
    }

    /// Fires the tokens of callers whose keys were revoked by `revision`, which must have been applied. What fails is done
    /// by the next call.
    pub async fn end_revoked(&self, revision: i64) -> Result<()> {
        self.open.check(revision, &*self.store).await
    }
}

/// Enough of a hash to tell keys apart.
fn short(hash: &[u8; 32]) -> u64 {
    hash.iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte))
}

fn not_known() -> Error {
    let message = "the API key is not known here, or revoked; `prompt-ledger keys create` makes one";
    Error::new(Reason::KeyInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_have_been_made_is_looked_up() {
        let made = format!("pl_{}", URL_SAFE_NO_PAD.encode([255; 32]));
        assert!(has_form(&made));
        let (short, long) = (&made[..45], format!("{made}_"));
        let other = made.replace("pl_", "sk_");
        for key in ["", "pl_", short, &long, &other, &made[3..], &made.replace('_', "+"), &"pl_".repeat(100)] {
            assert!(!has_form(key), "{key}");
        }
    }
}
