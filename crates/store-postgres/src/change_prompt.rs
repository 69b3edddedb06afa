//! Writes to the registry. Each locks the project's row, then reads, asks `plan`, and saves: so revisions and version
//! numbers are consecutive, however many write. What would change nothing locks nothing.

use std::slice;

use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::{Mode, Selector, VersionStatus};
use prompt_ledger_domain::{Error, Result, Timestamp};
use sqlx::PgConnection;

use super::project_lock::Made;
use super::select::select;
use super::{Postgres, error, put_prompt, row, save};
use prompt_ledger_store::plan::{self, Plan, VersionWrite};
use prompt_ledger_store::{Changed, PutPrompt, PutResult};

/// FOR NO KEY UPDATE: FOR UPDATE would stop every insert that refers to the row.
const LOCK: &str = "SELECT clock_timestamp() AS now FROM projects WHERE id = $1 FOR NO KEY UPDATE";
const LOOK: &str = "SELECT clock_timestamp() AS now FROM projects WHERE id = $1";

/// What is asked of a prompt.
#[derive(Clone, Copy)]
pub(super) enum ChangeRequest<'a> {
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
pub(super) enum ChangeAnswer {
    Put(PutResult),
    Changed(Changed),
}

impl Postgres {
    /// Registers a content.
    pub(super) async fn put(&self, project: ProjectId, put: &PutPrompt) -> Result<PutResult> {
        match self.write(project, ChangeRequest::Put(put)).await? {
            ChangeAnswer::Put(result) => Ok(result),
            ChangeAnswer::Changed(_) => Err(Error::internal("a content was registered, and something else answered")),
        }
    }

    /// Changes a prompt that exists.
    pub(super) async fn change(&self, project: ProjectId, asked: ChangeRequest<'_>) -> Result<Changed> {
        match self.write(project, asked).await? {
            ChangeAnswer::Changed(changed) => Ok(changed),
            ChangeAnswer::Put(_) => Err(Error::internal("a prompt was changed, and something else answered")),
        }
    }

    /// Plans a write, and makes it under the project's lock unless there is nothing to do.
    async fn write(&self, project: ProjectId, asked: ChangeRequest<'_>) -> Result<ChangeAnswer> {
        let (look, make) = (|| self.idle(project, asked), || self.make(project, asked));
        self.project_locks.write(&self.calls, project, look, make).await
    }

    /// What is answered where there is nothing to write.
    async fn idle(&self, project: ProjectId, asked: ChangeRequest<'_>) -> Result<Option<ChangeAnswer>> {
        let mut connection = error::again(|| self.calls.acquire()).await?;
        let now = moment(&mut connection, LOOK, project).await?;
        let planned = plan(&mut connection, now, project, asked).await?;
        let idle = !planned.prompt && planned.version == VersionWrite::Nothing;
        Ok(idle.then_some(planned.answer))
    }

    /// Writes all but the commit.
    async fn make(&self, project: ProjectId, asked: ChangeRequest<'_>) -> Result<(ChangeAnswer, Made)> {
        let mut transaction = error::again(|| self.calls.begin()).await?;
        let now = lock(&mut transaction, project).await?;
        let planned = plan(&mut transaction, now, project, asked).await?;
        let (prompt, version) = match &planned.answer {
            ChangeAnswer::Put(result) => (&result.prompt, Some(&result.version)),
            ChangeAnswer::Changed(changed) => (&changed.prompt, changed.version.as_ref()),
        };
        if planned.prompt {
            save::prompts(&mut transaction, project, slice::from_ref(prompt)).await?;
        }
        if let Some(version) = version {
            save::versions(&mut transaction, planned.version, slice::from_ref(version)).await?;
        }
        Ok((planned.answer, transaction))
    }
}

/// Reads what is there and decides.
async fn plan(
    connection: &mut PgConnection,
    now: Timestamp,
    project: ProjectId,
    asked: ChangeRequest<'_>,
) -> Result<Plan<ChangeAnswer>> {
    let changed = match asked {
        ChangeRequest::Put(put) => {
            let (found, prompt, version) = put_prompt::read(connection, project, put).await?;
            let Plan { prompt, version, answer } = plan::put(&found, prompt.as_ref(), version, put, now)?;
            return Ok(Plan { prompt, version, answer: ChangeAnswer::Put(answer) });
        }
        ChangeRequest::Activate(name, number, etag) => {
            let found = select(connection, project, name, &Selector::Number(number)).await?;
            plan::activate(found, number, etag, now)?
        }
        ChangeRequest::SetStatus(name, number, status, etag) => {
            let found = select(connection, project, name, &Selector::Number(number)).await?;
            plan::set_status(found, number, status, etag, now)?
        }
        ChangeRequest::Archive(name, archived, etag) => {
            let found = select(connection, project, name, &Selector::Active).await?;
            plan::archive(found, archived, etag, now)?
        }
        ChangeRequest::Migrate(name, mode, etag) => {
            let found = select(connection, project, name, &Selector::Active).await?;
            plan::migrate(found, mode, etag, now)?
        }
    };
    Ok(Plan { prompt: changed.prompt, version: changed.version, answer: ChangeAnswer::Changed(changed.answer) })
}

/// Locks the project's row: the moment from which it is held.
pub(super) async fn lock(connection: &mut PgConnection, project: ProjectId) -> Result<Timestamp> {
    moment(connection, LOCK, project).await
}

async fn moment(connection: &mut PgConnection, sql: &'static str, project: ProjectId) -> Result<Timestamp> {
    let found = sqlx::query(sql).bind(project.0).fetch_optional(connection).await.map_err(error::store)?;
    row::value(&found.ok_or_else(|| no_project(project))?, "now")
}

pub(super) fn no_project(project: ProjectId) -> Error {
    Error::new(Reason::ProjectNotFound, format!("there is no project {project}"))
}
