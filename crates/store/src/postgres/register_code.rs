//! Registering what code carries: looked at without a lock, and written under the project's lock where anything changes.

use prompt_ledger_domain::Result;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::Mode;
use sqlx::PgConnection;
use sqlx::postgres::PgBindIterExt;

use super::bind::{clean, each};
use super::change_prompt::{LOCK, LOOK, Made, lock};
use super::{Postgres, error, row, save};
use crate::plan::VersionWrite;
use crate::plan::code::{self, Batch};
use crate::rows::prompt::{maybe_prompt, maybe_version, prompt_columns, version_columns};
use crate::{RegisterCode, Registered};

/// The project's ($1) prompt of each name of $2, and that prompt's version of the content beside it in $3: each where
/// there is one, in their order.
pub(super) const READ: &str = concat!(
    "SELECT ",
    prompt_columns!(),
    ", ",
    version_columns!(),
    " FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS a (name, checksum, place) JOIN projects j ON j.id = $1",
    " LEFT JOIN prompts p ON p.project_id = j.id AND p.name = a.name",
    " LEFT JOIN prompt_versions v ON v.prompt_id = p.id AND v.checksum_hash = a.checksum",
    " ORDER BY a.place"
);

const MODES: &str = "SELECT name, mode FROM prompts WHERE project_id = $1 AND name = ANY ($2)";

impl Postgres {
    /// Registers a batch.
    pub(super) async fn register(&self, project: ProjectId, code: &RegisterCode) -> Result<Registered> {
        let (registered, made) = error::insist(&self.calls, || self.make_registration(project, code)).await?;
        if let Some(made) = made {
            error::commit(made).await?;
        }
        Ok(registered)
    }

    /// As [`Postgres::register`], without the commit.
    async fn make_registration(&self, project: ProjectId, code: &RegisterCode) -> Result<(Registered, Option<Made>)> {
        let mut transaction = error::again(|| self.calls.begin()).await?;
        let idle = plan(&mut transaction, LOOK, project, code).await?;
        if idle.is_idle() {
            return Ok((idle.answer, None));
        }
        let batch = plan(&mut transaction, LOCK, project, code).await?;
        save::prompts(&mut transaction, project, &batch.prompts).await?;
        save::versions(&mut transaction, VersionWrite::Add, &batch.added).await?;
        save::versions(&mut transaction, VersionWrite::Status, &batch.restored).await?;
        Ok((batch.answer, Some(transaction)))
    }

    /// The modes of those prompts that exist.
    pub(super) async fn modes_of(&self, project: ProjectId, names: &[&str]) -> Result<Vec<(String, Mode)>> {
        let read = || sqlx::query(MODES).bind(project.0).bind(each!(names, |name| clean(name))).fetch_all(&self.calls);
        let rows = error::again(read).await?;
        rows.iter().map(|found| Ok((row::text(found, "name")?, row::word(found, "mode", Mode::from_word)?))).collect()
    }
}

/// Reads what is there and decides.
async fn plan(
    connection: &mut PgConnection,
    look: &'static str,
    project: ProjectId,
    code: &RegisterCode,
) -> Result<Batch> {
    let (found, now) = lock(connection, look, project).await?;
    let rows = sqlx::query(READ)
        .bind(project.0)
        .bind(each!(code.prompts, |prompt| &prompt.name))
        .bind(each!(code.prompts, |prompt| &prompt.checksum))
        .fetch_all(connection)
        .await
        .map_err(error::store)?;
    let there = rows.iter().map(|row| Ok((maybe_prompt(row)?, maybe_version(row)?))).collect::<Result<Vec<_>>>()?;
    code::register(&found, there, code, now)
}
