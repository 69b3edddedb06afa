//! Projects and API keys.

use async_trait::async_trait;
use prompt_ledger_domain::ids::{KeyId, ProjectId};
use prompt_ledger_domain::{Result, Timestamp};

/// A project: prompts, executions and keys belong to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its identity.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
}

/// An API key, as it may be shown: never the key itself, never its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its identity.
    pub id: KeyId,
    /// For people: what it is for.
    pub name: String,
    /// The key's first characters, to recognise it by.
    pub prefix: String,
    /// The only project that it opens; absent for a system key.
    pub project: Option<Project>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked; absent while it is good.
    pub revoked_at: Option<Timestamp>,
}

/// A key to keep.
#[derive(Clone)]
pub struct NewApiKey {
    /// Its identity.
    pub id: KeyId,
    /// For people.
    pub name: String,
    /// The key's first characters.
    pub prefix: String,
    /// sha-256 of the key: 256 random bits need no slow hash.
    pub hash: [u8; 32],
    /// Absent for a system key.
    pub project: Option<ProjectId>,
}

/// Who may do what, where.
#[async_trait]
pub trait Access: Send + Sync {
    /// The project of that name.
    async fn project(&self, name: &str) -> Result<Option<Project>>;

    /// The project of that name, made with this id where there was none.
    async fn create_project(&self, id: ProjectId, name: &str) -> Result<Project>;

    /// The key with that hash, revoked or not.
    async fn key(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>>;

    /// The hashes, of these, of keys that are there and not revoked.
    async fn good_keys(&self, hashes: &[[u8; 32]]) -> Result<Vec<[u8; 32]>>;

    /// Keeps a key.
    async fn create_key(&self, key: NewApiKey) -> Result<ApiKey>;

    /// All keys, oldest first.
    async fn keys(&self) -> Result<Vec<ApiKey>>;

    /// Revokes a key for good; answers it, or nothing where there is none of that id. Doing it again changes nothing.
    async fn revoke_key(&self, id: KeyId) -> Result<Option<ApiKey>>;
}
