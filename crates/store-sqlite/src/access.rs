//! Projects and keys.

use async_trait::async_trait;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::{KeyId, ProjectId};
use prompt_ledger_domain::{Error, Result};
use sqlx::SqliteConnection;

use super::{Sqlite, error, now};
use prompt_ledger_store::rows::access::{key, maybe_project};
use prompt_ledger_store::rows::{bytes, to_json};
use prompt_ledger_store::{Access, ApiKey, NewApiKey, Project};

const PROJECT: &str = "SELECT id AS project_id, name AS project_name FROM projects WHERE name = $1";

macro_rules! keys {
    ($rest:literal) => {
        concat!(
            "SELECT k.id, k.name, k.prefix, k.created_at, k.revoked_at, k.project_id, j.name AS project_name \
             FROM api_keys k LEFT JOIN projects j ON j.id = k.project_id ",
            $rest
        )
    };
}

/// Increments the keys' revision where the statement before it wrote something.
macro_rules! count_write {
    () => {
        "UPDATE revisions SET revision = revision + 1 WHERE scope = 'keys' AND changes() > 0;"
    };
}

const CREATE_PROJECT: &str = concat!(
    "INSERT INTO projects (id, name, created_at) VALUES ($2, $1, $3) ON CONFLICT (name) DO NOTHING;",
    count_write!(),
    "SELECT id AS project_id, name AS project_name FROM projects WHERE name = $1"
);

const CREATE_KEY: &str = concat!(
    "INSERT INTO api_keys (id, name, prefix, hash, project_id, created_at) VALUES ($1, $2, $3, $4, $5, $6);",
    count_write!(),
    keys!("WHERE k.id = $1")
);

const REVOKE_KEY: &str = concat!(
    "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL;",
    count_write!(),
    keys!("WHERE k.id = $1")
);

const GOOD_KEYS: &str = "
    SELECT hash FROM api_keys
    WHERE hash IN (SELECT unhex(value) FROM json_each($1)) AND revoked_at IS NULL";

#[async_trait]
impl Access for Sqlite {
    async fn project(&self, name: &str) -> Result<Option<Project>> {
        let row = sqlx::query(PROJECT).bind(name).fetch_optional(&self.readers).await.map_err(error::store)?;
        row.as_ref().map_or(Ok(None), maybe_project)
    }

    async fn create_project(&self, id: ProjectId, name: &str) -> Result<Project> {
        let name = name.to_owned();
        self.writer.write((id, name), |connection, (id, name)| Box::pin(create_project(connection, *id, name))).await
    }

    async fn key(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>> {
        let query = sqlx::query(keys!("WHERE k.hash = $1")).bind(&hash[..]);
        let row = query.fetch_optional(&self.readers).await.map_err(error::store)?;
        row.as_ref().map(key).transpose()
    }

    async fn good_keys(&self, hashes: &[[u8; 32]]) -> Result<Vec<[u8; 32]>> {
        let hex = |hash: &[u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let hashes: Vec<_> = hashes.iter().map(hex).collect();
        let query = sqlx::query(GOOD_KEYS).bind(to_json(&hashes)?);
        query.fetch_all(&self.readers).await.map_err(error::store)?.iter().map(|row| bytes(row, "hash")).collect()
    }

    async fn create_key(&self, key: NewApiKey) -> Result<ApiKey> {
        self.writer.write(key, |connection, key| Box::pin(create_key(connection, key))).await
    }

    async fn keys(&self) -> Result<Vec<ApiKey>> {
        let query = sqlx::query(keys!("ORDER BY k.created_at, k.id"));
        query.fetch_all(&self.readers).await.map_err(error::store)?.iter().map(key).collect()
    }

    async fn revoke_key(&self, id: KeyId) -> Result<Option<ApiKey>> {
        self.writer.write(id, |connection, id| Box::pin(revoke_key(connection, *id))).await
    }
}

async fn create_project(connection: &mut SqliteConnection, id: ProjectId, name: &str) -> Result<Project> {
    let query = sqlx::query(CREATE_PROJECT).bind(name).bind(id.to_string()).bind(now().0);
    let rows = query.fetch_all(connection).await.map_err(error::store)?;
    let project = rows.first().map_or(Ok(None), maybe_project)?;
    project.ok_or_else(|| Error::internal("a project is neither there nor made"))
}

async fn create_key(connection: &mut SqliteConnection, new: &NewApiKey) -> Result<ApiKey> {
    let rows = sqlx::query(CREATE_KEY)
        .bind(new.id.to_string())
        .bind(&new.name)
        .bind(&new.prefix)
        .bind(new.hash.to_vec())
        .bind(new.project.map(|id| id.to_string()))
        .bind(now().0)
        .fetch_all(connection)
        .await
        .map_err(|error| match error {
            // The project is the only foreign key of `api_keys`.
            sqlx::Error::Database(error) if error.is_foreign_key_violation() => {
                Error::new(Reason::ProjectNotFound, "the key's project does not exist; create it first")
            }
            other => error::store(other),
        })?;
    rows.first().map(key).unwrap_or_else(|| Err(Error::internal("a key that was kept is not there")))
}

async fn revoke_key(connection: &mut SqliteConnection, id: KeyId) -> Result<Option<ApiKey>> {
    let query = sqlx::query(REVOKE_KEY).bind(id.to_string()).bind(now().0);
    query.fetch_all(connection).await.map_err(error::store)?.first().map(key).transpose()
}
