//! Lists of executions. An index that serves a part of the filter is walked newest first, and the other conditions are
//! tested: `walks` has the indexes and the choice among them. A call looks at about [`rows_walked`] executions; where these
//! are spent before it has found enough, it says where it stopped.
//!
//! Where there are several walks, what one of them found bounds the next: in time by the last row of a full page, or by
//! the place where it stopped.

use std::cmp::Reverse;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use prompt_ledger_domain::execution::Execution;
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Result, Timestamp};
use rusqlite::Connection;

use super::list_walks::{self, ListWalk};
use super::row::{self, at};
use super::statement::{Script, parameters};
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::execution::{execution, texts};
use prompt_ledger_store::rows::request::stored_metadata;
use prompt_ledger_store::{ExecutionFilter, ListPosition, Walked, rows_walked};
use prompt_ledger_store::{execution_select, text_columns, text_joins};

/// What each of several walks may look at, however little the others have left.
const LEAST_WALKED: usize = 32;

parameters! {
    /// `statuses` is a JSON array; absent stands for all, and where a walk has its own. `earliest` is in microseconds since
    /// 1970, inclusive. `status`, `its_mode` and `number` (the id in `version_environments`) are the walk's own; absent where
    /// it does not begin there.
    ListParameters(page: &SqlitePage<'_>, named: &Named, walk: &ListWalk, earliest: i64, budget: usize) {
        project_id = page.project.to_string(),
        earliest = earliest,
        latest = page.latest(),
        before_at = page.before_at(),
        before_id = page.before.map(|(_, id)| id.to_string()).unwrap_or_default(),
        environment = &page.filter.environment,
        statuses = named.statuses.as_deref().filter(|_| walk.status.is_none()),
        correlation_id = &page.filter.correlation_id,
        prompt = &named.prompt,
        version = &named.version,
        status = walk.status.map(<&str>::from),
        its_mode = walk.mode.map(<&str>::from),
        number = walk.number,
        narrows = page.narrows(),
        label = &page.filter.label,
        error_type = &page.filter.error_type,
        provider = &page.filter.provider,
        model_name = &page.filter.model_name,
        mode = page.filter.mode.map(<&str>::from),
        metadata = named.metadata.as_deref(),
        unchecked = page.filter.unchecked_metadata(),
        budget = count(budget),
    }
}

/// A walk of the executions `x` in `from`, those that `of` selects, in the order of the columns `at` and `id`.
pub(super) fn walk(from: &str, of: &str, [at, id]: [&str; 2]) -> Script {
    let sql = include_str!("sql/list.sql").replace("{from}", from).replace("{walk}", of);
    Script::new(&sql.replace("{at}", at).replace("{id}", id), ListParameters::NAMES)
}

/// Executions by their places, a JSON array, without texts, and with.
static AT: LazyLock<[Script; 2]> = LazyLock::new(|| {
    let from = "json_each(:places) w CROSS JOIN executions x ON x.rowid = w.value";
    [
        execution_select!(" CROSS JOIN", "", "{from}", ""),
        execution_select!(" CROSS JOIN", text_columns!(), "{from}", text_joins!()),
    ]
    .map(|sql| Script::new(&sql.replace("{from}", from), &["places"]))
});

pub(super) static NAMED: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("sql/named.sql"), NamedParameters::NAMES));

parameters! {
    NamedParameters(project: ProjectId, prompt_name: &str, version_number: Option<i32>) {
        project_id = project.to_string(),
        name = prompt_name,
        version_number = version_number,
    }
}

/// The arguments of `list`.
pub(super) struct SqlitePage<'a> {
    pub(super) project: ProjectId,
    pub(super) filter: &'a ExecutionFilter,
    pub(super) before: Option<ListPosition>,
    pub(super) limit: usize,
    pub(super) texts: bool,
}

impl SqlitePage<'_> {
    /// Whether any filter is used that few lists use: else one check a row stands for all of these.
    fn narrows(&self) -> bool {
        let ExecutionFilter { label, error_type, provider, model_name, mode, metadata, .. } = self.filter;
        let texts = [label, error_type, provider, model_name];
        texts.iter().any(|text| !text.is_empty()) || mode.is_some() || !metadata.is_empty()
    }

    /// Creation time of the last row of the page before.
    fn before_at(&self) -> i64 {
        self.before.map_or(i64::MAX, |(at, _)| at.0)
    }

    /// The latest creation time of a row on the page.
    fn latest(&self) -> i64 {
        self.filter.end_time.map_or(i64::MAX, |end| end.0.saturating_sub(1)).min(self.before_at())
    }
}

/// Ids of the prompt and the version that the filter names, and parts of it as JSON; absent for what it does not name.
#[derive(Default)]
pub(super) struct Named {
    pub(super) prompt: Option<String>,
    pub(super) version: Option<String>,
    pub(super) metadata: Option<String>,
    pub(super) statuses: Option<String>,
}

pub(super) fn list(connection: &Connection, page: &SqlitePage<'_>) -> Result<Walked<Execution, ListPosition>> {
    let filter = page.filter;
    let named = named(connection, page.project, &filter.prompt_name, filter.version_number)?;
    let Some(named) = named else { return Ok(Walked::whole(Vec::new())) };
    let words: Vec<_> = filter.statuses.iter().map(<&str>::from).collect();
    let statuses = if words.is_empty() { None } else { Some(row::to_json(&words)?) };
    let named = Named { metadata: stored_metadata(&filter.metadata)?, statuses, ..named };
    let mut found = FoundPlaces::default();
    let budget = rows_walked(page.limit);
    let mut left = budget;
    let walks = list_walks::of(connection, filter, &named)?;
    let live = |walk: &ListWalk| walk.status.is_some_and(|status| !status.is_terminal());
    let ended = walks.iter().filter(|walk| !live(walk)).count();
    for (walk, place) in walks.iter().zip(1..) {
        if live(walk) {
            found.walk(connection, page, &named, walk, budget)?;
            continue;
        }
        // Half of what is left, so that each of those to come has its share.
        let share = if place == ended { left } else { left / 2 };
        left = left.saturating_sub(found.walk(connection, page, &named, walk, share.max(LEAST_WALKED))?);
    }
    let places: Vec<_> = found.places.iter().map(|place| place.rowid).collect();
    let stopped = found.stopped.filter(|_| places.len() < page.limit).map(|place| place.position()).transpose()?;
    Ok(Walked { rows: read(connection, &places, page.texts)?, stopped })
}

/// The order of lists, oldest first, and where the execution is stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RowPlace {
    created_at: i64,
    id: String,
    rowid: i64,
}

impl RowPlace {
    fn position(&self) -> Result<ListPosition> {
        Ok((Timestamp(self.created_at), ExecutionId::parse("id", &self.id)?))
    }
}

/// What the walks so far found.
#[derive(Default)]
struct FoundPlaces {
    /// The page's, newest first.
    places: Vec<RowPlace>,
    /// The newest row at which a walk stopped: what is older may be incomplete.
    stopped: Option<RowPlace>,
}

impl FoundPlaces {
    /// Adds what a walk finds. Returns the number of rows that it looked at, at most `budget`.
    fn walk(
        &mut self,
        connection: &Connection,
        page: &SqlitePage<'_>,
        named: &Named,
        walk: &ListWalk,
        budget: usize,
    ) -> Result<usize> {
        let full = self.places.last().filter(|_| self.places.len() == page.limit);
        let bounds = [self.stopped.as_ref(), full].into_iter().flatten().map(|place| place.created_at);
        let earliest = page.filter.start_time.map_or(i64::MIN, |start| start.0);
        let earliest = bounds.max().map_or(earliest, |bound| bound.max(earliest));
        let (mut seen, mut more, mut stopped) = (0, Vec::new(), None);
        walk.script.each(connection, ListParameters::values(page, named, walk, earliest, budget), |row| {
            seen += 1;
            let place = RowPlace { rowid: at(row, 0)?, created_at: at(row, 1)?, id: at(row, 2)? };
            if seen == budget {
                stopped = Some(place.clone());
            }
            if at(row, 3)? {
                more.push(place);
            }
            Ok(if more.len() == page.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        self.stopped = self.stopped.take().max(stopped);
        self.places.append(&mut more);
        self.places.retain(|place| Some(place) >= self.stopped.as_ref());
        self.places.sort_unstable_by(|one, other| other.cmp(one));
        self.places.truncate(page.limit);
        Ok(seen)
    }
}

/// The executions at these places, newest first.
fn read(connection: &Connection, places: &[i64], with_texts: bool) -> Result<Vec<Execution>> {
    let places = row::to_json(&places)?;
    let mut all = AT[usize::from(with_texts)].rows(connection, [&places as &dyn rusqlite::ToSql], |row| {
        let texts = if with_texts { Some(texts(row)?) } else { None };
        Ok(Execution { texts, ..execution(row)? })
    })?;
    all.sort_unstable_by_key(|execution: &Execution| Reverse((execution.created_at, execution.id)));
    Ok(all)
}

/// Looks up the ids; nothing where the prompt or the version does not exist.
pub(super) fn named(
    connection: &Connection,
    project: ProjectId,
    prompt_name: &str,
    version_number: Option<i32>,
) -> Result<Option<Named>> {
    if prompt_name.is_empty() {
        return Ok(Some(Named::default()));
    }
    let named = NAMED.row(connection, NamedParameters::values(project, prompt_name, version_number), |row| {
        let (prompt, version) = (row::maybe(row, "prompt_id")?, row::maybe(row, "version_id")?);
        Ok(Named { prompt, version, ..Named::default() })
    })?;
    Ok(named.filter(|named| version_number.is_none() || named.version.is_some()))
}

/// What reads the executions that the walks found.
#[cfg(test)]
pub(super) fn scripts() -> [&'static Script; 3] {
    [&NAMED, &AT[0], &AT[1]]
}
