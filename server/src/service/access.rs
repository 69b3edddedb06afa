//! Authentication: the API key of a call, and the project that it acts in.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prompt_ledger_domain::field::Name;
use prompt_ledger_domain::prompt_log::AskingKey;
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

/// How many unknown keys are looked up in the store at once, and how long a lookup waits for its turn.
const LOOKUPS: usize = 2;
const LOOKUP_WAIT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// Absent where none was sent.
    pub key: Option<&'a str>,
    /// The value of `x-ledger-project`; absent where it was not sent.
    pub project: Option<&'a str>,
    /// The name of a header that a proxy added; absent for a direct call.
    pub forwarded_by: Option<&'a str>,
}

#[derive(Clone, Debug)]
pub struct Caller {
    /// The project that the call reads and writes.
    pub project: Project,
    /// The first 64 bits of the key's hash: identifies the key in limits.
    pub key: u64,
    /// The key as it is stored; absent for API_KEY and the development key.
    pub stored: Option<Arc<ApiKey>>,
    /// Whether the key opens every project.
    pub system: bool,
    /// Fires once the key is known to be revoked; never for API_KEY and the development key.
    pub revoked: CancellationToken,
    /// Present where key and project were taken from the cache without asking the store: what is recorded for this
    /// caller checks their revision, and every other answer follows [`Authenticator::confirm`].
    pub unconfirmed: Option<Unconfirmed>,
}

/// What the key and the project of a caller were cached at.
#[derive(Clone, Debug)]
pub struct Unconfirmed {
    identity: Identity,
    /// The revision of keys and projects that is known here.
    pub keys: i64,
}

/// Who a call says it is.
#[derive(Clone)]
struct Identity {
    hash: [u8; 32],
    /// API_KEY or the development key: a system key that is not in the store.
    is_configured: bool,
    /// The project that it names.
    project: Option<String>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("project", &self.project).finish_non_exhaustive()
    }
}

impl Caller {
    /// The key, for the change log.
    #[must_use]
    pub fn asking_key(&self) -> AskingKey {
        match &self.stored {
            Some(key) => AskingKey { id: key.id.to_string(), name: key.name.clone() },
            None => AskingKey { id: String::new(), name: self.key_name().to_owned() },
        }
    }

    /// The name of the key.
    #[must_use]
    pub fn key_name(&self) -> &str {
        self.stored.as_ref().map_or("API_KEY", |key| &key.name)
    }

    /// SCOPE_MISSING unless the key is a system key: `rpc` changes what all projects share.
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

/// Authenticates callers by their key. Caches keys and projects.
pub struct Authenticator {
    store: Arc<dyn Access>,
    /// The hash of API_KEY, a system key that is not in the store.
    api_key: Option<[u8; 32]>,
    development_key: bool,
    keys: Cache<[u8; 32], ApiKey>,
    /// Bounds the lookups of keys that are neither cached nor in `open`.
    lookups: Semaphore,
    open: OpenKeys,
    projects: Cache<String, Project>,
    /// Present where other processes write to the store: the revisions are read before each call.
    confirm: Option<Confirm>,
    freshness: Arc<Freshness>,
}

/// The hash that a key is stored as: SHA-256.
#[must_use]
pub fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// Whether it has the form of the keys that `keys create` makes: `pl_`, and 32 bytes in unpadded URL-safe base64.
fn has_form(key: &str) -> bool {
    let mut bytes = [0; 33];
    let random = key.strip_prefix("pl_").filter(|random| random.len() == 43);
    random.is_some_and(|random| URL_SAFE_NO_PAD.decode_slice(random, &mut bytes).is_ok())
}

impl Authenticator {
    /// Accepts the keys of the store, `api_key`, and the development key where `development_key` is set.
    pub fn new(
        store: Arc<dyn Access>,
        freshness: &Arc<Freshness>,
        api_key: Option<&Secret>,
        development_key: bool,
    ) -> Self {
        let api_key = api_key.map(|key| hash(key.expose()));
        let (keys, projects) = (Cache::new(Arc::clone(freshness)), Cache::new(Arc::clone(freshness)));
        let (lookups, open) = (Semaphore::new(LOOKUPS), OpenKeys::default());
        Self {
            store,
            api_key,
            development_key,
            keys,
            lookups,
            open,
            projects,
            confirm: None,
            freshness: Arc::clone(freshness),
        }
    }

    /// Reads the revisions before each call, where `confirm` is given.
    #[must_use]
    pub fn confirming(self, confirm: Option<Confirm>) -> Self {
        Self { confirm, ..self }
    }

    /// The caller with these credentials. KEY_MISSING, KEY_INVALID, PROJECT_NOT_FOUND; OVERLOADED where too many
    /// unknown keys are being looked up; STORE_UNAVAILABLE.
    pub async fn admit(&self, credentials: Credentials<'_>) -> Result<Arc<Caller>> {
        self.enter(self.identify(credentials)?).await
    }

    /// As [`Self::admit`], for a call that records an execution: where key and project are cached, the caller is
    /// [`Caller::unconfirmed`], and the store is not asked.
    pub async fn admit_to_record(&self, credentials: Credentials<'_>) -> Result<Arc<Caller>> {
        let identity = self.identify(credentials)?;
        match self.cached(&identity) {
            Some(caller) => Ok(Arc::new(caller)),
            None => self.enter(identity).await,
        }
    }

    /// The caller as of now, with the errors of [`Self::admit`].
    pub async fn confirm(&self, unconfirmed: &Unconfirmed) -> Result<Arc<Caller>> {
        self.enter(unconfirmed.identity.clone()).await
    }

    /// KEY_MISSING, and KEY_INVALID where the key cannot be one.
    fn identify(&self, credentials: Credentials<'_>) -> Result<Identity> {
        let Credentials { key, project, forwarded_by } = credentials;
        let key = key.ok_or_else(|| {
            let message = "no API key was sent; send it as `x-api-key` (or as `authorization: Bearer KEY`)";
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
        Ok(Identity { hash, is_configured, project: project.map(str::to_owned) })
    }

    async fn enter(&self, identity: Identity) -> Result<Arc<Caller>> {
        let Identity { hash, is_configured, project } = identity;
        if let Some(confirm) = &self.confirm {
            confirm.now().await?;
        }
        let (stored, revoked) = match is_configured {
            true => (None, CancellationToken::new()),
            false => {
                let (known, revoked) = self.known(&hash).await?;
                (Some(known), revoked)
            }
        };
        let own = stored.as_ref().and_then(|known| known.project.clone());
        let caller = |project, system, revoked| {
            Arc::new(Caller { project, key: short(&hash), stored, system, revoked, unconfirmed: None })
        };
        match (own, project) {
            (None, project) => Ok(caller(self.named(project.as_deref()).await?, true, revoked)),
            (Some(own), Some(named)) if own.name != named => Err(Error::project_not_found(&named)),
            (Some(own), _) => Ok(caller(own, false, revoked)),
        }
    }

    /// The caller from what is cached; absent where something is not, and where the caller is refused.
    fn cached(&self, identity: &Identity) -> Option<Caller> {
        self.confirm.as_ref().filter(|_| self.freshness.is_recent())?;
        // Before the caches are read: what they hold is of this revision or of a later one.
        let keys = self.keys.applied().min(self.projects.applied());
        let (stored, revoked) = match identity.is_configured {
            true => (None, CancellationToken::new()),
            false => {
                let checks = self.open.checks();
                let known = self.keys.peek(&identity.hash).filter(|key| key.revoked_at.is_none())?;
                (Some(known), self.open.token(&identity.hash, checks)?)
            }
        };
        let own = stored.as_ref().and_then(|known| known.project.clone());
        let named = identity.project.as_deref();
        let (project, system) = match own {
            None => ((*self.projects.peek(named.unwrap_or(DEFAULT_PROJECT))?).clone(), true),
            Some(own) if named.is_some_and(|named| named != own.name) => return None,
            Some(own) => (own, false),
        };
        let unconfirmed = Some(Unconfirmed { identity: identity.clone(), keys });
        Some(Caller { project, key: short(&identity.hash), stored, system, revoked, unconfirmed })
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

    /// The key with that hash, and the token that fires when it is revoked; KEY_INVALID where it is unknown or
    /// revoked.
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

    /// Reads a key from the store. Anyone can send any number of unknown keys; one that was good before does not wait
    /// behind them.
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

    /// The project that the caller of a system key names.
    async fn named(&self, named: Option<&str>) -> Result<Project> {
        let name = named.unwrap_or(DEFAULT_PROJECT);
        Name::parse("x-ledger-project", name).map_err(|_| Error::project_not_found(name))?;
        let read = async { self.store.project(name).await };
        let project = self.projects.get_or_read(name.to_owned(), |_| 256, read).await?;
        project.map(|project| (*project).clone()).ok_or_else(|| Error::project_not_found(name))
    }

    /// Drops what is cached of keys and projects from before `revision`.
    pub fn apply(&self, revision: i64) {
        self.keys.apply(revision);
        self.projects.apply(revision);
    }

    /// Fires the tokens of callers whose keys were revoked by `revision`, which must have been applied. A failure is
    /// retried by the next call.
    pub async fn end_revoked(&self, revision: i64) -> Result<()> {
        self.open.check(revision, &*self.store).await
    }
}

/// The first 64 bits: enough to tell keys apart.
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
