//! Reads executions by id, and events.

use std::sync::LazyLock;

use prompt_ledger_domain::execution::Execution;
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Error, Result, Timestamp};
use rusqlite::{Connection, ToSql};

use super::row;
use super::statement::{Script, parameters};
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::execution::{change, maybe_event, whole};
use prompt_ledger_store::{Change, Event};
use prompt_ledger_store::{execution_select, text_columns, text_joins};

/// The column that `rows::execution::attempts` reads: the attempts that have ended, as one JSON array.
macro_rules! attempts_column {
    () => {
        concat!(", ", include_str!("sql/attempt_log.sql"))
    };
}

static WHOLE: LazyLock<Script> = LazyLock::new(|| {
    let sql = concat!(
        execution_select!(" CROSS JOIN", concat!(text_columns!(), attempts_column!()), "executions x", text_joins!()),
        " WHERE x.id = :id AND x.project_id = :project_id"
    );
    Script::new(sql, WholeParameters::NAMES)
});

parameters! {
    WholeParameters(project: ProjectId, id: ExecutionId) {
        id = id.to_string(),
        project_id = project.to_string(),
    }
}

macro_rules! whole_of {
    ($texts:expr, $joins:expr) => {
        execution_select!(" CROSS JOIN", concat!($texts, attempts_column!()), "{from}", $joins)
    };
}

/// Executions by a list of ids, without texts, and with.
static WHOLE_OF: LazyLock<[Script; 2]> = LazyLock::new(|| {
    let from = "json_each(:ids) w CROSS JOIN executions x ON x.id = w.value";
    [whole_of!("", ""), whole_of!(text_columns!(), text_joins!())]
        .map(|sql| Script::new(&sql.replace("{from}", from), &["ids"]))
});

macro_rules! event_columns {
    () => {
        "SELECT e.execution_id, e.sequence, e.at, e.from_status, e.to_status, e.attempt, e.error_type, e.next_attempt_at"
    };
}

/// For each [id, sequence] of a JSON array the execution's events after the sequence.
static EVENTS_AFTER: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(event_columns!(), " ", include_str!("sql/events_after.sql")), &["cursors"]));

static EVENTS_BETWEEN: LazyLock<Script> = LazyLock::new(|| {
    let sql = concat!(event_columns!(), " ", include_str!("sql/events_between.sql"));
    Script::new(sql, EventsBetweenParameters::NAMES)
});

parameters! {
    /// From `start`, inclusive, to `stop`, exclusive.
    EventsBetweenParameters(start: Timestamp, stop: Timestamp, limit: usize) {
        start = start.0,
        stop = stop.0,
        most = count(limit),
    }
}

/// The events of an execution after a sequence; one row without an event where there are none.
static EVENTS: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/events.sql"), EventsParameters::NAMES));

parameters! {
    EventsParameters(project: ProjectId, id: ExecutionId, after_sequence: i64, limit: usize) {
        id = id.to_string(),
        project_id = project.to_string(),
        after_sequence = after_sequence,
        most = count(limit).max(1),
    }
}

pub(super) fn get(connection: &Connection, project: ProjectId, id: ExecutionId) -> Result<Execution> {
    let found = WHOLE.row(connection, WholeParameters::values(project, id), |row| whole(row, true))?;
    found.ok_or_else(|| Error::execution_not_found(id))
}

pub(super) fn whole_of(connection: &Connection, ids: &[ExecutionId], texts: bool) -> Result<Vec<Execution>> {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    let script = &WHOLE_OF[usize::from(texts)];
    script.rows(connection, [&row::to_json(&ids)? as &dyn ToSql], |row| whole(row, texts))
}

pub(super) fn events_after(connection: &Connection, cursors: &[(ExecutionId, i64)]) -> Result<Vec<Change>> {
    let cursors: Vec<_> = cursors.iter().map(|(id, after)| (id.to_string(), after)).collect();
    EVENTS_AFTER.rows(connection, [&row::to_json(&cursors)? as &dyn ToSql], |row| change(row))
}

pub(super) fn events_between(
    connection: &Connection,
    start: Timestamp,
    end: Timestamp,
    limit: usize,
) -> Result<Vec<Change>> {
    EVENTS_BETWEEN.rows(connection, EventsBetweenParameters::values(start, end, limit), |row| change(row))
}

pub(super) fn events(
    connection: &Connection,
    project: ProjectId,
    id: ExecutionId,
    after_sequence: i64,
    limit: usize,
) -> Result<Vec<Event>> {
    let parameters = EventsParameters::values(project, id, after_sequence, limit);
    let found = EVENTS.rows(connection, parameters, |row| maybe_event(row))?;
    if found.is_empty() {
        return Err(Error::execution_not_found(id));
    }
    Ok(found.into_iter().flatten().take(limit).collect())
}

#[cfg(test)]
pub(super) fn scripts() -> [&'static Script; 6] {
    [&WHOLE, &WHOLE_OF[0], &WHOLE_OF[1], &EVENTS, &EVENTS_AFTER, &EVENTS_BETWEEN]
}
