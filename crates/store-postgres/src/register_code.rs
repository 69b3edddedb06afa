//! Registering what code carries: looked at in one statement, and written under the project's lock where something
//! changes.

use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::Mode;
use sqlx::PgExecutor;
use sqlx::postgres::{PgBindIterExt, PgRow};

use super::bind::{clean, each};
use super::change_prompt::{lock, no_project};
use super::project_lock::Made;
use super::{Postgres, error, row, save};
use prompt_ledger_store::plan::VersionWrite;
use prompt_ledger_store::plan::code::{self, CodeBatch};
use prompt_ledger_store::rows::prompt::{self, maybe_known, maybe_prompt};
use prompt_ledger_store::{RegisterCode, Registered};
use prompt_ledger_store::{known_columns, prompt_columns};

/// The project's ($1) prompt of each name of $2, and that prompt's version of the content beside it in $3: each where
/// there is one, in their order; with the project's revision and the time beside them.
pub(super) const READ: &str = concat!(
    "SELECT ",
    prompt_columns!(),
    ", ",
    known_columns!(),
    ", clock_timestamp() AS now",
    " FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS a (name, checksum, place) JOIN projects j ON j.id = $1",
    " LEFT JOIN prompts p ON p.project_id = j.id AND p.name = a.name",
    " LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND v.checksum_hash = a.checksum",
    " ORDER BY a.place"
);

const MODES: &str = "SELECT name, mode FROM prompts WHERE project_id = $1 AND name = ANY ($2)";

impl Postgres {
    /// Registers a batch.
    pub(super) async fn register(&self, project: ProjectId, code: &RegisterCode) -> Result<Registered> {
        let look = || self.idle_registration(project, code);
        let make = || self.make_registration(project, code);
        self.project_locks.write(&self.calls, project, look, make).await
    }

    /// What is answered where there is nothing to write.
    async fn idle_registration(&self, project: ProjectId, code: &RegisterCode) -> Result<Option<Registered>> {
        let rows = error::again(|| read(&self.calls, project, code)).await?;
        let batch = plan(&rows, project, code)?;
        Ok(batch.is_idle().then_some(batch.answer))
    }

    /// Writes all but the commit.
    async fn make_registration(&self, project: ProjectId, code: &RegisterCode) -> Result<(Registered, Made)> {
        let mut transaction = error::again(|| self.calls.begin()).await?;
        lock(&mut transaction, project).await?;
        let rows = read(&mut *transaction, project, code).await.map_err(error::store)?;
        let batch = plan(&rows, project, code)?;
        save::prompts(&mut transaction, project, &batch.prompts).await?;
        save::versions(&mut transaction, VersionWrite::Add, &batch.added).await?;
        save::restored(&mut transaction, &batch.restored).await?;
        Ok((batch.answer, transaction))
    }

    /// The modes of those prompts that exist.
    pub(super) async fn modes_of(&self, project: ProjectId, names: &[&str]) -> Result<Vec<(String, Mode)>> {
        let read = || sqlx::query(MODES).bind(project.0).bind(each!(names, |name| clean(name))).fetch_all(&self.calls);
        let rows = error::again(read).await?;
        rows.iter().map(|found| Ok((row::text(found, "name")?, row::word(found, "mode", Mode::from_word)?))).collect()
    }
}

/// Reads what is there.
async fn read(executor: impl PgExecutor<'_>, project: ProjectId, code: &RegisterCode) -> sqlx::Result<Vec<PgRow>> {
    sqlx::query(READ)
        .bind(project.0)
        .bind(each!(code.prompts, |prompt| &prompt.name))
        .bind(each!(code.prompts, |prompt| &prompt.checksum))
        .fetch_all(executor)
        .await
}

/// Decides.
fn plan(rows: &[PgRow], project: ProjectId, code: &RegisterCode) -> Result<CodeBatch> {
    let first = rows.first().ok_or_else(|| no_project(project))?;
    let there = rows.iter().map(|row| Ok((maybe_prompt(row)?, maybe_known(row)?))).collect::<Result<Vec<_>>>()?;
    code::register(&prompt::project(first)?, there, code, row::value(first, "now")?)
}
