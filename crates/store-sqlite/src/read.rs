//! Reads executions by id, and events.

use std::sync::LazyLock;

use prompt_ledger_domain::execution::Execution;
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Error, Result, Timestamp};
use prompt_ledger_store::parameters;
use prompt_ledger_store::parameters::numbered;
use sqlx::SqliteConnection;

use super::{error, row};
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

pub(super) static WHOLE: LazyLock<String> = LazyLock::new(|| {
    let sql = concat!(
        execution_select!(" CROSS JOIN", concat!(text_columns!(), attempts_column!()), "executions x", text_joins!()),
        " WHERE x.id = :id AND x.project_id = :project_id"
    );
    numbered(sql, WholeParameters::NAMES)
});

parameters! {
    WholeParameters(project: ProjectId, id: ExecutionId) of sqlx::Sqlite {
        id = id.to_string(),
        project_id = project.to_string(),
    }
}

/// Executions by a list of ids, without texts, and with.
const WHOLE_OF: [&str; 2] = [
    execution_select!(
        " CROSS JOIN",
        attempts_column!(),
        "json_each($1) w CROSS JOIN executions x ON x.id = w.value",
        ""
    ),
    execution_select!(
        " CROSS JOIN",
        concat!(text_columns!(), attempts_column!()),
        "json_each($1) w CROSS JOIN executions x ON x.id = w.value",
        text_joins!()
    ),
];

macro_rules! event_columns {
    () => {
        "SELECT e.execution_id, e.sequence, e.at, e.from_status, e.to_status, e.attempt, e.error_type, e.next_attempt_at"
    };
}

/// For each [id, sequence] of a JSON array the execution's events after the sequence.
const EVENTS_AFTER: &str = concat!(
    event_columns!(),
    " FROM json_each($1) w CROSS JOIN execution_events e
      ON e.execution_id = w.value ->> 0 AND e.sequence > w.value ->> 1 ORDER BY e.execution_id, e.sequence"
);

static EVENTS_BETWEEN: LazyLock<String> = LazyLock::new(|| {
    let sql = concat!(event_columns!(), " ", include_str!("sql/events_between.sql"));
    numbered(sql, EventsBetweenParameters::NAMES)
});

parameters! {
    /// From `start`, inclusive, to `stop`, exclusive.
    EventsBetweenParameters(start: Timestamp, stop: Timestamp, limit: usize) of sqlx::Sqlite {
        start = start.0,
        stop = stop.0,
        most = count(limit),
    }
}

/// The events of an execution after a sequence; one row without an event where there are none.
pub(super) static EVENTS: LazyLock<String> =
    LazyLock::new(|| numbered(include_str!("sql/events.sql"), EventsParameters::NAMES));

parameters! {
    EventsParameters(project: ProjectId, id: ExecutionId, after_sequence: i64, limit: usize) of sqlx::Sqlite {
        id = id.to_string(),
        project_id = project.to_string(),
        after_sequence = after_sequence,
        most = count(limit).max(1),
    }
}

pub(super) async fn get(connection: &mut SqliteConnection, project: ProjectId, id: ExecutionId) -> Result<Execution> {
    let query = WholeParameters::query(&WHOLE, project, id);
    let row = query.fetch_optional(connection).await.map_err(error::store)?;
    let row = row.ok_or_else(|| Error::execution_not_found(id))?;
    whole(&row, true)
}

pub(super) async fn whole_of(
    connection: &mut SqliteConnection,
    ids: &[ExecutionId],
    texts: bool,
) -> Result<Vec<Execution>> {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    let query = sqlx::query(WHOLE_OF[usize::from(texts)]).bind(row::to_json(&ids)?);
    let rows = query.fetch_all(connection).await.map_err(error::store)?;
    rows.iter().map(|row| whole(row, texts)).collect()
}

pub(super) async fn events_after(
    connection: &mut SqliteConnection,
    cursors: &[(ExecutionId, i64)],
) -> Result<Vec<Change>> {
    let cursors: Vec<_> = cursors.iter().map(|(id, after)| (id.to_string(), after)).collect();
    let query = sqlx::query(EVENTS_AFTER).bind(row::to_json(&cursors)?);
    query.fetch_all(connection).await.map_err(error::store)?.iter().map(change).collect()
}

pub(super) async fn events_between(
    connection: &mut SqliteConnection,
    start: Timestamp,
    end: Timestamp,
    limit: usize,
) -> Result<Vec<Change>> {
    let query = EventsBetweenParameters::query(&EVENTS_BETWEEN, start, end, limit);
    query.fetch_all(connection).await.map_err(error::store)?.iter().map(change).collect()
}

pub(super) async fn events(
    connection: &mut SqliteConnection,
    project: ProjectId,
    id: ExecutionId,
    after_sequence: i64,
    limit: usize,
) -> Result<Vec<Event>> {
    let query = EventsParameters::query(&EVENTS, project, id, after_sequence, limit);
    let rows = query.fetch_all(connection).await.map_err(error::store)?;
    if rows.is_empty() {
        return Err(Error::execution_not_found(id));
    }
    rows.iter().filter_map(|row| maybe_event(row).transpose()).take(limit).collect()
}
