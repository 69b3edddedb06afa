//! `prompt-ledger keys`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use prompt_ledger_backends::{StartError, open_store};
use prompt_ledger_domain::field::{self, Name};
use prompt_ledger_domain::ids::{KeyId, ProjectId};
use prompt_ledger_runtime::config::Config;
use prompt_ledger_store::{ApiKey, NewApiKey, Project, Store};

use super::{DataDir, confirm};
use crate::service::access::{DEFAULT_PROJECT, hash};

/// Makes, lists and revokes API keys.
#[derive(Subcommand)]
pub(super) enum Keys {
    /// Make a key; it is shown once, and kept only as a hash
    Create(Create),
    /// List all keys: never the keys themselves, only how they begin
    List(DataDir),
    /// Revoke a key; it stops working within a second
    Revoke(Revoke),
}

/// Makes a key.
#[derive(Args)]
pub(super) struct Create {
    /// The project that the key opens; asks before it makes one
    #[arg(long, default_value = DEFAULT_PROJECT)]
    project: String,
    /// Make the project without asking; needed where no terminal is there to answer
    #[arg(long)]
    yes: bool,
    /// A key for every project; calls name theirs in the metadata `x-ledger-project`
    #[arg(long, conflicts_with = "project")]
    system: bool,
    /// What the key is for, to recognise it by
    #[arg(long, default_value = "")]
    name: String,
    #[command(flatten)]
    data: DataDir,
}

/// Revokes a key.
#[derive(Args)]
pub(super) struct Revoke {
    /// The id of the key, from `keys list`
    id: String,
    #[command(flatten)]
    data: DataDir,
}

impl Keys {
    pub(super) async fn run(self, config: &Config) -> Result<(), StartError> {
        match self {
            Self::Create(create) => create.run(config).await,
            Self::List(data) => list(config, &data).await,
            Self::Revoke(revoke) => revoke.run(config).await,
        }
    }
}

impl Create {
    async fn run(self, config: &Config) -> Result<(), StartError> {
        let project = Name::parse("--project", &self.project)?;
        let name = field::text("--name", self.name, 255)?;
        let store = open_store(config, &self.data.data_dir).await?;
        let project = match self.system {
            true => None,
            false => Some(project_of(&*store, &project, self.yes).await?),
        };
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let key = format!("pl_{}", URL_SAFE_NO_PAD.encode(random));
        let new = NewApiKey {
            id: KeyId(prompt_ledger_runtime::new_id()),
            name,
            prefix: key.chars().take(8).collect(),
            hash: hash(&key),
            project: project.map(|project| project.id),
        };
        let made = store.create_key(new).await?;
        store.close().await;
        // The key is shown also where nobody reads this.
        {
            use std::io::Write as _;
            writeln!(std::io::stderr(), "Key {} for {}. It is shown only now:", made.id, opens(&made)).ok();
        }
        answer!("{key}");
        Ok(())
    }
}

/// The project of this name. One that is not there is made, where it is the one that each deployment has, `yes`, or a
/// person agrees: a name that was mistyped would open an empty project.
async fn project_of(store: &dyn Store, name: &Name, yes: bool) -> Result<Project, StartError> {
    let name = name.as_str();
    if let Some(project) = store.project(name).await? {
        return Ok(project);
    }
    if !yes && name != DEFAULT_PROJECT {
        confirm::ask(&format!("There is no project `{name}` yet, and this would make it."))?;
    }
    Ok(store.create_project(ProjectId(prompt_ledger_runtime::new_id()), name).await?)
}

impl Revoke {
    async fn run(self, config: &Config) -> Result<(), StartError> {
        let id = KeyId::parse("ID", &self.id)?;
        let store = open_store(config, &self.data.data_dir).await?;
        let revoked = store.revoke_key(id).await?;
        store.close().await;
        let revoked = revoked.ok_or_else(|| format!("no key {id}; `prompt-ledger keys list` shows them"))?;
        answer!("Key {} ({}...) is revoked.", revoked.id, revoked.prefix);
        Ok(())
    }
}

async fn list(config: &Config, data: &DataDir) -> Result<(), StartError> {
    let store = open_store(config, &data.data_dir).await?;
    let keys = store.keys().await?;
    store.close().await;
    answer!("{:36}  {:11}  {:7}  {:24}  NAME", "ID", "BEGINS WITH", "STATE", "OPENS");
    for key in keys {
        let state = if key.revoked_at.is_some() { "revoked" } else { "good" };
        answer!("{}  {:11}  {state:7}  {:24}  {}", key.id, key.prefix, opens(&key), key.name);
    }
    Ok(())
}

fn opens(key: &ApiKey) -> String {
    key.project.as_ref().map_or_else(|| "every project".to_owned(), |project| format!("project {}", project.name))
}
