//! Projects and API keys.

use async_trait::async_trait;
use prompt_ledger_domain::ids::{KeyId, ProjectId};
use prompt_ledger_domain::{Result, Timestamp};

/// A project: the scope of prompts, executions and project keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// UUIDv7; never changes.
    pub id: ProjectId,
    /// Unique in the deployment.
    pub name: String,
}

/// An API key without its secret: neither the key nor its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// UUIDv7; what a revocation names.
    pub id: KeyId,
    /// Free text that says what the key is for; not unique.
    pub name: String,
    /// The key's first characters, to recognize it by.
    pub prefix: String,
    /// The only project that the key gives access to; absent for a system key.
    pub project: Option<Project>,
    /// Time at which the store recorded it.
    pub created_at: Timestamp,
    /// Time of the revocation; absent while the key is valid.
    pub revoked_at: Option<Timestamp>,
}

/// An API key to store.
#[derive(Clone)]
pub struct NewApiKey {
    /// UUIDv7, made by the caller.
    pub id: KeyId,
    /// Free text that says what the key is for; not unique.
    pub name: String,
    /// The key's first characters.
    pub prefix: String,
    /// SHA-256 of the key. A key has 256 random bits, so a slow hash would add nothing.
    pub hash: [u8; 32],
    /// The project that the key gives access to; absent for a system key.
    pub project: Option<ProjectId>,
}

/// Projects and API keys.
#[async_trait]
pub trait Access: Send + Sync {
    /// The project with this name.
    async fn project(&self, name: &str) -> Result<Option<Project>>;

    /// The project with this name, created with this id if it did not exist.
    async fn create_project(&self, id: ProjectId, name: &str) -> Result<Project>;

    /// The key with this hash, revoked or not.
    async fn key(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>>;

    /// Those of these hashes that belong to a key that is not revoked.
    async fn good_keys(&self, hashes: &[[u8; 32]]) -> Result<Vec<[u8; 32]>>;

    /// Stores a key. PROJECT_NOT_FOUND where its project does not exist.
    async fn create_key(&self, key: NewApiKey) -> Result<ApiKey>;

    /// All keys, oldest first.
    async fn keys(&self) -> Result<Vec<ApiKey>>;

    /// Revokes a key for good and returns it; nothing where no key has this id. Revoking it again keeps the first
    /// `revoked_at`.
    async fn revoke_key(&self, id: KeyId) -> Result<Option<ApiKey>>;
}
