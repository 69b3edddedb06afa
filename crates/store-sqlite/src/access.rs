//! Projects and keys.

use std::sync::LazyLock;

use async_trait::async_trait;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::{KeyId, ProjectId};
use prompt_ledger_domain::{Error, Result, Timestamp};
use prompt_ledger_store::parameters;
use prompt_ledger_store::parameters::numbered;
use sqlx::SqliteConnection;

use super::{Sqlite, error, now};
use prompt_ledger_store::rows::access::{key, maybe_project};
use prompt_ledger_store::rows::{bytes, to_json};
use prompt_ledger_store::{Access, ApiKey, NewApiKey, Project};

static PROJECT: LazyLock<String> =
    LazyLock::new(|| numbered(include_str!("sql/project.sql"), ProjectParameters::NAMES));

parameters! {
    ProjectParameters(name: &str) of sqlx::Sqlite {
        name = name,
    }
}

macro_rules! keys {
    ($rest:literal) => {
        concat!(include_str!("sql/keys.sql"), $rest)
    };
}

/// Composes a write, the increment of the keys' revision where it wrote something, and the read of its result.
macro_rules! written {
    ($write:literal, $read:expr) => {
        concat!(include_str!($write), include_str!("sql/keys_written.sql"), $read)
    };
}

static CREATE_PROJECT: LazyLock<String> = LazyLock::new(|| {
    numbered(written!("sql/create_project.sql", include_str!("sql/project.sql")), NewProjectParameters::NAMES)
});

parameters! {
    NewProjectParameters(id: ProjectId, name: &str, at: Timestamp) of sqlx::Sqlite {
        id = id.to_string(),
        name = name,
        created_at = at.0,
    }
}

static CREATE_KEY: LazyLock<String> =
    LazyLock::new(|| numbered(written!("sql/create_key.sql", keys!("WHERE k.id = :id")), NewKeyParameters::NAMES));

parameters! {
    NewKeyParameters(new: &NewApiKey, at: Timestamp) of sqlx::Sqlite {
        id = new.id.to_string(),
        name = &new.name,
        prefix = &new.prefix,
        hash = new.hash.to_vec(),
        project_id = new.project.map(|id| id.to_string()),
        created_at = at.0,
    }
}

static REVOKE_KEY: LazyLock<String> =
    LazyLock::new(|| numbered(written!("sql/revoke_key.sql", keys!("WHERE k.id = :id")), RevokeKeyParameters::NAMES));

parameters! {
    RevokeKeyParameters(id: KeyId, at: Timestamp) of sqlx::Sqlite {
        id = id.to_string(),
        at = at.0,
    }
}

const GOOD_KEYS: &str = "
    SELECT hash FROM api_keys
    WHERE hash IN (SELECT unhex(value) FROM json_each($1)) AND revoked_at IS NULL";

#[async_trait]
impl Access for Sqlite {
    async fn project(&self, name: &str) -> Result<Option<Project>> {
        let query = ProjectParameters::query(&PROJECT, name);
        let row = query.fetch_optional(&self.readers).await.map_err(error::store)?;
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
    let query = NewProjectParameters::query(&CREATE_PROJECT, id, name, now());
    let rows = query.fetch_all(connection).await.map_err(error::store)?;
    let project = rows.first().map_or(Ok(None), maybe_project)?;
    project.ok_or_else(|| Error::internal("a project is neither there nor made"))
}

async fn create_key(connection: &mut SqliteConnection, new: &NewApiKey) -> Result<ApiKey> {
    let query = NewKeyParameters::query(&CREATE_KEY, new, now());
    let rows = query.fetch_all(connection).await.map_err(|error| match error {
        // The project is the only foreign key of `api_keys`.
        sqlx::Error::Database(error) if error.is_foreign_key_violation() => {
            Error::new(Reason::ProjectNotFound, "the key's project does not exist; create it first")
        }
        other => error::store(other),
    })?;
    rows.first().map(key).unwrap_or_else(|| Err(Error::internal("a key that was kept is not there")))
}

async fn revoke_key(connection: &mut SqliteConnection, id: KeyId) -> Result<Option<ApiKey>> {
    let query = RevokeKeyParameters::query(&REVOKE_KEY, id, now());
    query.fetch_all(connection).await.map_err(error::store)?.first().map(key).transpose()
}
