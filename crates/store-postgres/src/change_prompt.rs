//! Changes of existing prompts.

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::Prompt;
use prompt_ledger_domain::{Result, Timestamp};
use prompt_ledger_store::plan::{self, ChangedState, Plan};
use prompt_ledger_store::{ChangeRequest, Changed, PromptChange};
use sqlx::PgConnection;

use super::error;
use super::registry_write::PgRegistryWrite;
use super::select::select;

const OPAQUE: &str = include_str!("sql/opaque_labelled.sql");

/// The opaque ones of the versions that the prompt's labels point at.
async fn opaque(connection: &mut PgConnection, prompt: &Prompt) -> Result<Vec<i32>> {
    let labelled: Vec<_> = prompt.labels.iter().map(|held| held.version_number).collect();
    let read = sqlx::query_scalar(OPAQUE).bind(prompt.id.0).bind(labelled).fetch_all(connection);
    read.await.map_err(error::store)
}

impl PgRegistryWrite for ChangeRequest {
    type Answer = Changed;

    async fn plan(&self, connection: &mut PgConnection, project: ProjectId, now: Timestamp) -> Result<Plan<Changed>> {
        let (prompt, version, revision) = select(connection, project, &self.name, &self.change.selector()).await?;
        let opaque = match &self.change {
            PromptChange::Migrate(_) if !prompt.labels.is_empty() => opaque(connection, &prompt).await?,
            _ => Vec::new(),
        };
        plan::change(ChangedState { prompt, version, opaque, revision }, self, now)
    }
}
