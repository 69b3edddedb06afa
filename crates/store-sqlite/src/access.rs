//! Projects and keys.

use std::sync::LazyLock;

use async_trait::async_trait;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::{KeyId, ProjectId};
use prompt_ledger_domain::{Error, Result, Timestamp};
use rusqlite::{Connection, ToSql};

use super::statement::{Script, parameters};
use super::{Sqlite, error, now};
use prompt_ledger_store::rows::access::{key, maybe_project};
use prompt_ledger_store::rows::{bytes, to_json};
use prompt_ledger_store::{Access, ApiKey, NewApiKey, Project};

static PROJECT: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/project.sql"), ProjectParameters::NAMES));

parameters! {
    ProjectParameters(name: &str) {
        name = name,
    }
}

macro_rules! keys {
    ($rest:literal) => {
        concat!(include_str!("sql/keys.sql"), " ", $rest)
    };
}

static KEY: LazyLock<Script> = LazyLock::new(|| Script::new(keys!("WHERE k.id = :id"), &["id"]));
static KEY_OF_HASH: LazyLock<Script> = LazyLock::new(|| Script::new(keys!("WHERE k.hash = :hash"), &["hash"]));
static KEYS: LazyLock<Script> = LazyLock::new(|| Script::new(keys!("ORDER BY k.created_at, k.id"), &[]));

/// Composes a write and the increment of the keys' revision where it wrote something.
macro_rules! written {
    ($write:literal) => {
        concat!(include_str!($write), include_str!("sql/keys_written.sql"))
    };
}

static CREATE_PROJECT: LazyLock<Script> =
    LazyLock::new(|| Script::new(written!("sql/create_project.sql"), NewProjectParameters::NAMES));

parameters! {
    NewProjectParameters(id: ProjectId, name: &str, at: Timestamp) {
        id = id.to_string(),
        name = name,
        created_at = at.0,
    }
}

static CREATE_KEY: LazyLock<Script> =
    LazyLock::new(|| Script::new(written!("sql/create_key.sql"), NewKeyParameters::NAMES));

parameters! {
    NewKeyParameters(new: &NewApiKey, at: Timestamp) {
        id = new.id.to_string(),
        name = &new.name,
        prefix = &new.prefix,
        hash = &new.hash,
        project_id = new.project.map(|id| id.to_string()),
        created_at = at.0,
    }
}

static REVOKE_KEY: LazyLock<Script> =
    LazyLock::new(|| Script::new(written!("sql/revoke_key.sql"), RevokeKeyParameters::NAMES));

parameters! {
    RevokeKeyParameters(id: KeyId, at: Timestamp) {
        id = id.to_string(),
        at = at.0,
    }
}

static GOOD_KEYS: LazyLock<Script> = LazyLock::new(|| {
    let sql = include_str!("sql/good_keys.sql");
    Script::new(sql, &["hashes"])
});

#[async_trait]
impl Access for Sqlite {
    async fn project(&self, name: &str) -> Result<Option<Project>> {
        let name = name.to_owned();
        self.readers.read(move |connection| project(connection, &name)).await
    }

    async fn create_project(&self, id: ProjectId, name: &str) -> Result<Project> {
        let name = name.to_owned();
        self.writer.write(move |connection| create_project(connection, id, &name)).await
    }

    async fn key(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>> {
        let hash = *hash;
        self.readers.read(move |connection| KEY_OF_HASH.row(connection, [&hash as &dyn ToSql], |row| key(row))).await
    }

    async fn good_keys(&self, hashes: &[[u8; 32]]) -> Result<Vec<[u8; 32]>> {
        let hex = |hash: &[u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let hashes = to_json(&hashes.iter().map(hex).collect::<Vec<_>>())?;
        let good = move |connection: &Connection| {
            GOOD_KEYS.rows(connection, [&hashes as &dyn ToSql], |row| bytes(row, "hash"))
        };
        self.readers.read(good).await
    }

    async fn create_key(&self, key: NewApiKey) -> Result<ApiKey> {
        self.writer.write(move |connection| create_key(connection, &key)).await
    }

    async fn keys(&self) -> Result<Vec<ApiKey>> {
        self.readers.read(|connection| KEYS.rows(connection, [], |row| key(row))).await
    }

    async fn revoke_key(&self, id: KeyId) -> Result<Option<ApiKey>> {
        self.writer.write(move |connection| revoke_key(connection, id)).await
    }
}

fn project(connection: &Connection, name: &str) -> Result<Option<Project>> {
    Ok(PROJECT.row(connection, ProjectParameters::values(name), |row| maybe_project(row))?.flatten())
}

fn create_project(connection: &Connection, id: ProjectId, name: &str) -> Result<Project> {
    CREATE_PROJECT.execute(connection, NewProjectParameters::values(id, name, now()))?;
    project(connection, name)?.ok_or_else(|| Error::internal("a project is neither there nor made"))
}

fn create_key(connection: &Connection, new: &NewApiKey) -> Result<ApiKey> {
    let created = CREATE_KEY.try_execute(connection, NewKeyParameters::values(new, now()));
    created.map_err(|error| match error::is_foreign_key_violation(&error) {
        // The project is the only foreign key of `api_keys`.
        true => Error::new(Reason::ProjectNotFound, "the key's project does not exist; create it first"),
        false => error::store(error),
    })?;
    key_of(connection, new.id)?.ok_or_else(|| Error::internal("a key that was kept is not there"))
}

fn revoke_key(connection: &Connection, id: KeyId) -> Result<Option<ApiKey>> {
    REVOKE_KEY.execute(connection, RevokeKeyParameters::values(id, now()))?;
    key_of(connection, id)
}

fn key_of(connection: &Connection, id: KeyId) -> Result<Option<ApiKey>> {
    KEY.row(connection, [&id.to_string() as &dyn ToSql], |row| key(row))
}
