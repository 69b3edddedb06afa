//! Projects and keys.

use std::sync::LazyLock;

use async_trait::async_trait;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::{KeyId, ProjectId};
use prompt_ledger_domain::{Error, Result};
use sqlx::Transaction;

use super::row::without_nul;
use super::statement::parameters;
use super::{Postgres, error};
use prompt_ledger_store::parameters::numbered;
use prompt_ledger_store::rows::access::{key, maybe_project};
use prompt_ledger_store::rows::bytes;
use prompt_ledger_store::{Access, ApiKey, NewApiKey, Project};

const PROJECT: &str = "SELECT id AS project_id, name AS project_name FROM projects WHERE name = $1";

/// Selects keys of `$from`, which has the columns of `api_keys`.
macro_rules! keys {
    ($from:literal, $rest:literal) => {
        concat!(
            "SELECT k.id, k.name, k.prefix, k.created_at, k.revoked_at, k.project_id, j.name AS project_name \
             FROM ",
            $from,
            " k LEFT JOIN projects j ON j.id = k.project_id ",
            $rest
        )
    };
}

/// A write that increments the keys' revision, unless it wrote nothing. `read` selects from `written`.
fn counted(write: &str, read: &str) -> String {
    include_str!("sql/counted.sql").replace("{write}", write) + read
}

static CREATE_PROJECT: LazyLock<String> = LazyLock::new(|| {
    let read = "SELECT id AS project_id, name AS project_name FROM written";
    numbered(&counted(include_str!("sql/create_project.sql"), read), ProjectParameters::NAMES)
});

parameters! {
    ProjectParameters(id: ProjectId, name: &str) {
        id = id.0,
        name = name,
    }
}

static CREATE_KEY: LazyLock<String> = LazyLock::new(|| {
    let sql = counted(include_str!("sql/create_key.sql"), keys!("written", ""));
    numbered(&sql, KeyParameters::NAMES)
});

parameters! {
    KeyParameters(new: &NewApiKey) {
        id = new.id.0,
        name = &new.name,
        prefix = &new.prefix,
        hash = &new.hash[..],
        project_id = new.project.map(|project| project.0),
    }
}

static REVOKE_KEY: LazyLock<String> = LazyLock::new(|| {
    let write = "UPDATE api_keys SET revoked_at = clock_timestamp() WHERE id = $1 AND revoked_at IS NULL RETURNING *";
    counted(write, keys!("written", ""))
});

const GOOD_KEYS: &str = "SELECT hash FROM api_keys WHERE hash = ANY($1) AND revoked_at IS NULL";

const KEY_BY_ID: &str = keys!("api_keys", "WHERE k.id = $1");

#[async_trait]
impl Access for Postgres {
    async fn project(&self, name: &str) -> Result<Option<Project>> {
        let query = || sqlx::query(PROJECT).bind(without_nul(name)).fetch_optional(&self.calls);
        error::again(query).await?.as_ref().map_or(Ok(None), maybe_project)
    }

    async fn create_project(&self, id: ProjectId, name: &str) -> Result<Project> {
        let query = || ProjectParameters::query(&CREATE_PROJECT, id, name).fetch_optional(&self.calls);
        let made = error::again(query).await?;
        let made = made.as_ref().map_or(Ok(None), maybe_project)?;
        match made {
            Some(made) => Ok(made),
            // Another transaction created it: only a new statement sees what that wrote.
            None => {
                let found = self.project(name).await?;
                found.ok_or_else(|| Error::internal("a project is neither there nor made"))
            }
        }
    }

    async fn key(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>> {
        let query =
            || sqlx::query(keys!("api_keys", "WHERE k.hash = $1")).bind(hash.to_vec()).fetch_optional(&self.calls);
        error::again(query).await?.as_ref().map(key).transpose()
    }

    async fn good_keys(&self, hashes: &[[u8; 32]]) -> Result<Vec<[u8; 32]>> {
        let hashes: Vec<_> = hashes.iter().map(|hash| hash.to_vec()).collect();
        let query = || sqlx::query(GOOD_KEYS).bind(hashes.clone()).fetch_all(&self.calls);
        error::again(query).await?.iter().map(|row| bytes(row, "hash")).collect()
    }

    async fn create_key(&self, new: NewApiKey) -> Result<ApiKey> {
        let (made, transaction) = error::insist(&self.calls, || self.make_key(&new)).await?;
        error::commit(transaction).await?;
        Ok(made)
    }

    async fn keys(&self) -> Result<Vec<ApiKey>> {
        let query = || sqlx::query(keys!("api_keys", "ORDER BY k.created_at, k.id")).fetch_all(&self.calls);
        error::again(query).await?.iter().map(key).collect()
    }

    async fn revoke_key(&self, id: KeyId) -> Result<Option<ApiKey>> {
        // A key revoked by an earlier attempt whose response was lost is found below.
        let query = || sqlx::query(REVOKE_KEY.as_str()).bind(id.0).fetch_optional(&self.calls);
        if let Some(revoked) = error::again(query).await? {
            return key(&revoked).map(Some);
        }
        let query = || sqlx::query(KEY_BY_ID).bind(id.0).fetch_optional(&self.calls);
        error::again(query).await?.as_ref().map(key).transpose()
    }
}

impl Postgres {
    /// Writes a key without committing.
    async fn make_key(&self, new: &NewApiKey) -> Result<(ApiKey, Transaction<'static, sqlx::Postgres>)> {
        let mut transaction = error::again(|| self.calls.begin()).await?;
        let made = KeyParameters::query(&CREATE_KEY, new).fetch_one(&mut *transaction).await;
        let made = made.map_err(|error| match error {
            // The project is the only foreign key of `api_keys`.
            sqlx::Error::Database(error) if error.is_foreign_key_violation() => {
                Error::new(Reason::ProjectNotFound, "the key's project does not exist; create it first")
            }
            other => error::store(other),
        })?;
        Ok((key(&made)?, transaction))
    }
}
