//! Writes to the registry. Each locks the project's row, then reads, asks `plan`, and saves: so revisions and version
//! numbers are consecutive, however many write. What would change nothing locks nothing.

use std::slice;

use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Mode, Selector, VersionStatus};
use prompt_ledger_domain::{Error, Result, Timestamp};
use sqlx::{PgConnection, Transaction};

use super::select::select;
use super::{Postgres, error, put_prompt, row, save};
use crate::plan::{self, Plan, Project, VersionWrite};
use crate::{Changed, PutPrompt, PutResult};

/// FOR NO KEY UPDATE: FOR UPDATE would stop every insert that refers to the row.
pub(super) const LOCK: &str =
    "SELECT name, revision, clock_timestamp() AS now FROM projects WHERE id = $1 FOR NO KEY UPDATE";
pub(super) const LOOK: &str = "SELECT name, revision, clock_timestamp() AS now FROM projects WHERE id = $1";

/// What is asked of a prompt.
#[derive(Clone, Copy)]
pub(super) enum Asked<'a> {
    /// Registering a content.
    Put(&'a PutPrompt),
    /// Moving the active pointer to this number.
    Activate(&'a str, i32, Option<&'a str>),
    /// Giving the version of this number a status.
    SetStatus(&'a str, i32, VersionStatus, Option<&'a str>),
    /// Archiving it, or bringing it back.
    Archive(&'a str, bool, Option<&'a str>),
    /// Moving it to another mode.
    Migrate(&'a str, Mode, Option<&'a str>),
}

/// What it came to.
pub(super) enum Answer {
    Put(PutResult),
    Changed(Changed),
}

/// What is written but for the commit.
pub(super) type Made = Transaction<'static, sqlx::Postgres>;

impl Postgres {
    /// Registers a content.
    pub(super) async fn put(&self, project: ProjectId, put: &PutPrompt) -> Result<PutResult> {
        match self.write(project, Asked::Put(put)).await? {
            Answer::Put(result) => Ok(result),
            Answer::Changed(_) => Err(Error::internal("a content was registered, and something else answered")),
        }
    }

    /// Changes a prompt that exists.
    pub(super) async fn change(&self, project: ProjectId, asked: Asked<'_>) -> Result<Changed> {
        match self.write(project, asked).await? {
            Answer::Changed(changed) => Ok(changed),
            Answer::Put(_) => Err(Error::internal("a prompt was changed, and something else answered")),
        }
    }

    /// Plans a write, and makes it under the project's lock unless there is nothing to do.
    async fn write(&self, project: ProjectId, asked: Asked<'_>) -> Result<Answer> {
        let (answer, made) = error::insist(&self.calls, || self.make(project, asked)).await?;
        if let Some(made) = made {
            error::commit(made).await?;
        }
        Ok(answer)
    }

    /// As [`Postgres::write`], without the commit.
    async fn make(&self, project: ProjectId, asked: Asked<'_>) -> Result<(Answer, Option<Made>)> {
        let mut transaction = error::again(|| self.calls.begin()).await?;
        let idle = plan(&mut transaction, LOOK, project, asked).await?;
        if !idle.prompt && idle.version == VersionWrite::Nothing {
            return Ok((idle.answer, None));
        }
        let planned = plan(&mut transaction, LOCK, project, asked).await?;
        let (prompt, version) = match &planned.answer {
            Answer::Put(result) => (&result.prompt, Some(&result.version)),
            Answer::Changed(changed) => (&changed.prompt, changed.version.as_ref()),
        };
        if planned.prompt {
            save::prompts(&mut transaction, project, slice::from_ref(prompt)).await?;
        }
        if let Some(version) = version {
            save::versions(&mut transaction, planned.version, slice::from_ref(version)).await?;
        }
        Ok((planned.answer, Some(transaction)))
    }
}

/// Reads what is there and decides.
async fn plan(
    connection: &mut PgConnection,
    look: &'static str,
    project: ProjectId,
    asked: Asked<'_>,
) -> Result<Plan<Answer>> {
    let (found, now) = lock(connection, look, project).await?;
    let changed = match asked {
        Asked::Put(put) => {
            let (prompt, version) = put_prompt::read(connection, project, put).await?;
            let Plan { prompt, version, answer } = plan::put(&found, prompt.as_ref(), version, put, now)?;
            return Ok(Plan { prompt, version, answer: Answer::Put(answer) });
        }
        Asked::Activate(name, number, etag) => {
            let found = select(connection, project, name, &Selector::Number(number)).await?;
            plan::activate(found, number, etag, now)?
        }
        Asked::SetStatus(name, number, status, etag) => {
            let found = select(connection, project, name, &Selector::Number(number)).await?;
            plan::set_status(found, number, status, etag, now)?
        }
        Asked::Archive(name, archived, etag) => {
            let found = select(connection, project, name, &Selector::Active).await?;
            plan::archive(found, archived, etag, now)?
        }
        Asked::Migrate(name, mode, etag) => {
            let found = select(connection, project, name, &Selector::Active).await?;
            plan::migrate(found, mode, etag, now)?
        }
    };
    Ok(Plan { prompt: changed.prompt, version: changed.version, answer: Answer::Changed(changed.answer) })
}

pub(super) async fn lock(
    connection: &mut PgConnection,
    sql: &'static str,
    project: ProjectId,
) -> Result<(Project, Timestamp)> {
    let found = sqlx::query(sql).bind(project.0).fetch_optional(connection).await.map_err(error::store)?;
    let found = found.ok_or_else(|| Error::new(Reason::ProjectNotFound, format!("there is no project {project}")))?;
    Ok((
        Project { name: row::value(&found, "name")?, revision: row::value(&found, "revision")? },
        row::value(&found, "now")?,
    ))
}
