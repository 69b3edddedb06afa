//! Lists of executions, one page per statement. An index that serves a part of the filter is walked newest first, and the
//! other conditions are tested in a form that no index supports: the choice of index is fixed here, independent of
//! statistics. What the filter names of these, the first one is walked, since few executions have it in common:
//!
//! - A correlation id, an entry of metadata, an error: few executions each.
//! - Executions that have ended are found by status within a prompt or a version; those of a project by label, by model, by
//!   environment and status, or by status and mode.
//! - Those that have not ended are found by status, of a project; there are few of them.
//!
//! A provider without a model has no index of its own: its project is walked.
//!
//! A walk is cut into arms, such as one for each status, since an index is in the order of the list only within one of them.
//! Those of ended executions share [`rows_walked`]. Queued and running ones have as much each, because a page goes no further
//! back than the arm that came least far, and a busy ledger has hundreds of them that match nothing. An arm that has looked at
//! its share stops, and returns the row at which it did: what the other arms found beyond is left for the next page.

use std::sync::LazyLock;

use prompt_ledger_domain::VariantArray as _;
use prompt_ledger_domain::execution::{Execution, ExecutionMode, Status};
use prompt_ledger_domain::ids::{ExecutionId, ProjectId};
use prompt_ledger_domain::{Result, Timestamp};
use uuid::Uuid;

use super::error;
use super::row;
use super::statement::{clean, parameters};
use super::timestamp::PgTimestamp;
use super::watched_pool::WatchedPool;
use prompt_ledger_store::parameters::numbered;
use prompt_ledger_store::rows::count;
use prompt_ledger_store::rows::execution::{execution, texts};
use prompt_ledger_store::{ExecutionFilter, ListPosition, Walked, rows_walked};
use prompt_ledger_store::{execution_select, text_columns, text_joins};

/// The arms of a walk that are of no status, and those of one.
const OF_NONE: &str = "a.status IS NULL";
const OF_ENDED: &str = "a.status NOT IN ('queued', 'running')";
const OF_LIVE: &str = "a.status IN ('queued', 'running')";

/// A walk of the executions `w` that `of` selects, by the arms that `arms` selects.
fn walk(of: &str, arms: &str) -> String {
    walk_from("executions w", of, arms, ["w.created_at", "w.id"])
}

/// As [`walk`], of the executions in `from`, in the order of the columns `at` and `id`.
fn walk_from(from: &str, of: &str, arms: &str, [at, id]: [&str; 2]) -> String {
    let sql = include_str!("sql/list.sql").replace("{from}", from).replace("{walk}", of).replace("{arms}", arms);
    sql.replace("{matches}", include_str!("sql/list_matches.sql")).replace("{at}", at).replace("{id}", id)
}

/// Executions that have ended, of what `of` selects, by status. The condition repeats that of the partial indexes.
fn ended(of: &str) -> String {
    walk(&format!("{of} AND w.status = a.status AND w.completed_at IS NOT NULL"), OF_ENDED)
}

/// Executions that have not ended, by status. The last two conditions repeat those of the partial index.
fn live() -> String {
    let of = "w.status = a.status AND w.completed_at IS NULL AND w.status <> 'succeeded'";
    walk(&format!("{PROJECT} AND {of}"), OF_LIVE)
}

/// The executions of `{page}` with prompt, version and project: without texts, and with.
const LIST: [&str; 2] = [
    execution_select!(" JOIN", ", d.matches, d.stopped", "({page}) d JOIN executions x ON x.id = d.id", ""),
    execution_select!(
        " JOIN",
        concat!(text_columns!(), ", d.matches, d.stopped"),
        "({page}) d JOIN executions x ON x.id = d.id",
        text_joins!()
    ),
];

/// The statements of one shape of filter: without texts, and with.
type ListShape = LazyLock<[String; 2]>;

fn shape(walks: &[String]) -> [String; 2] {
    let page = include_str!("sql/list_page.sql").replace("{walks}", &walks.join(" UNION ALL "));
    LIST.map(|list| {
        let sql = list.replace("{page}", &page) + " ORDER BY x.created_at DESC, x.id DESC";
        numbered(&sql, PageParameters::NAMES)
    })
}

/// Declares shapes: the arms of each, its walks, and the indexes of these.
macro_rules! shapes {
    ($($name:ident: $arms:ident, [$($walk:expr),+], [$($index:literal),+];)*) => {
        $(static $name: WalkShape = WalkShape {
            arms: ShapeArms::$arms,
            statements: LazyLock::new(|| shape(&[$($walk),+])),
        };)*

        /// Each shape with its indexes.
        #[cfg(test)]
        pub(super) fn shapes() -> Vec<(&'static [String; 2], &'static [&'static str])> {
            vec![$((&*$name.statements, &[$($index),+])),*]
        }
    };
}

const PROJECT: &str = "w.project_id = :project_id";
const PROMPT: &str = "w.prompt_id = (SELECT q.id FROM prompts q WHERE q.project_id = :project_id AND q.name = :prompt)";
const VERSION: &str = "w.version_id = (SELECT u.id FROM prompt_versions u WHERE u.version_number = :version_number
    AND u.prompt_id = (SELECT q.id FROM prompts q WHERE q.project_id = :project_id AND q.name = :prompt))";
const ENVIRONMENT: &str = "w.project_id = :project_id AND w.environment = :environment";
const MODE: &str = "w.project_id = :project_id AND w.mode = a.mode";
const CORRELATION: &str = "w.correlation_id = :correlation_id";
const ERROR: &str = "w.project_id = :project_id AND w.error_type = :error_type";
const LABEL: &str = "w.project_id = :project_id AND w.label = :label AND w.completed_at IS NOT NULL";
const MODEL: &str = "w.project_id = :project_id AND w.provider = :provider AND w.model_name = :model_name
    AND w.completed_at IS NOT NULL";
/// The first entry of the metadata.
const ENTRY: &str = "m.project_id = :project_id AND (m.key, m.value) =
    (SELECT f.key, f.value FROM jsonb_each_text(:metadata::jsonb) AS f (key, value) LIMIT 1)";
const ENTRIES: &str = "execution_metadata m JOIN executions w ON w.id = m.execution_id";

shapes! {
    OF_PROJECT: One, [walk(PROJECT, OF_NONE)], ["executions_project"];
    OF_CORRELATION: One, [walk(CORRELATION, OF_NONE)], ["executions_correlation"];
    OF_METADATA: One, [walk_from(ENTRIES, ENTRY, OF_NONE, ["m.created_at", "m.execution_id"])],
        ["execution_metadata_entry"];
    OF_ERROR: One, [walk(ERROR, OF_NONE)], ["executions_error"];
    OF_VERSION: Statuses, [ended(VERSION), live()], ["executions_ended_version", "executions_live"];
    OF_PROMPT: Statuses, [ended(PROMPT), live()], ["executions_ended_prompt", "executions_live"];
    OF_LABEL: OneAndLive, [walk(LABEL, OF_NONE), live()], ["executions_label", "executions_live"];
    OF_MODEL: OneAndLive, [walk(MODEL, OF_NONE), live()], ["executions_model", "executions_live"];
    OF_ENVIRONMENT: Statuses, [ended(ENVIRONMENT), live()], ["executions_environment", "executions_live"];
    OF_STATUSES: StatusesAndModes, [ended(MODE), live()], ["executions_ended", "executions_live"];
}

/// How the walks of a filter are cut into arms.
#[derive(Clone, Copy)]
enum ShapeArms {
    /// One for all.
    One,
    /// One for all that have ended, and one for each other status.
    OneAndLive,
    /// One for each status.
    Statuses,
    /// As `Statuses`, and those that have ended by mode.
    StatusesAndModes,
}

/// Statements, and the arms that they take.
struct WalkShape {
    arms: ShapeArms,
    statements: ListShape,
}

parameters! {
    PageParameters(page: &PostgresPage<'_>, arms: &[Arm]) {
        project_id = page.project.0,
        first = PgTimestamp(page.filter.start_time.unwrap_or(Timestamp(i64::MIN))),
        last = PgTimestamp(page.last()),
        before_at = PgTimestamp(page.before().0),
        before_id = page.before().1.0,
        environment = clean(&page.filter.environment),
        statuses = page.statuses(),
        correlation_id = clean(&page.filter.correlation_id),
        prompt = clean(&page.filter.prompt_name),
        version_number = page.filter.version_number,
        label = clean(&page.filter.label),
        error_type = clean(&page.filter.error_type),
        provider = clean(&page.filter.provider),
        model_name = clean(&page.filter.model_name),
        mode = page.filter.mode.map(<&str>::from),
        metadata = page.metadata.as_deref(),
        unchecked = page.filter.unchecked_metadata(),
        arm_statuses = arms.iter().map(|arm| arm.status.map(<&str>::from)).collect::<Vec<_>>(),
        arm_modes = arms.iter().map(|arm| arm.mode.map(<&str>::from)).collect::<Vec<_>>(),
        arm_shares = arms.iter().map(|arm| arm.share).collect::<Vec<_>>(),
        most = count(page.limit),
    }
}

/// A part of a walk: what it is of, and how many rows it may look at.
#[derive(Debug, PartialEq, Eq)]
struct Arm {
    status: Option<Status>,
    mode: Option<ExecutionMode>,
    share: i64,
}

impl ShapeArms {
    /// The arms for these statuses, none for all, and this mode, none for both. Most executions have succeeded, so that arm has
    /// the largest share of `budget`.
    fn of(self, statuses: &[Status], mode: Option<ExecutionMode>, budget: usize) -> Vec<Arm> {
        let of = |status, mode, share| Arm { status, mode, share };
        let whole = count(budget);
        if matches!(self, Self::One) {
            return vec![of(None, None, whole)];
        }
        let wanted = |status: &&Status| statuses.is_empty() || statuses.contains(status);
        let (ended, live): (Vec<_>, Vec<_>) =
            Status::VARIANTS.iter().copied().filter(|status| wanted(&status)).partition(|status| status.is_terminal());
        let modes: Vec<_> = match self {
            Self::StatusesAndModes => ExecutionMode::VARIANTS
                .iter()
                .copied()
                .filter(|it| mode.is_none_or(|mode| mode == *it))
                .map(Some)
                .collect(),
            Self::One | Self::OneAndLive | Self::Statuses => vec![None],
        };
        let weight = |status| if status == Status::Succeeded { 4 } else { 1 };
        let weights = ended.iter().copied().map(weight).sum::<i64>() * count(modes.len());
        let mut arms: Vec<_> = match self {
            Self::OneAndLive if ended.is_empty() => Vec::new(),
            Self::One | Self::OneAndLive => vec![of(None, None, whole)],
            Self::Statuses | Self::StatusesAndModes => {
                let each = ended.iter().flat_map(|status| modes.iter().map(move |mode| (*status, *mode)));
                each.map(|(status, mode)| of(Some(status), mode, (whole * weight(status) / weights).max(1))).collect()
            }
        };
        arms.extend(live.into_iter().map(|status| of(Some(status), None, whole)));
        arms
    }
}

/// The arguments of `list`.
pub(super) struct PostgresPage<'a> {
    pub(super) project: ProjectId,
    pub(super) filter: &'a ExecutionFilter,
    pub(super) before: Option<ListPosition>,
    pub(super) limit: usize,
    pub(super) texts: bool,
    /// The entries of the filter as JSON; absent for none.
    pub(super) metadata: Option<String>,
}

impl PostgresPage<'_> {
    /// The statements whose index leaves the fewest rows.
    fn shape(&self) -> &'static WalkShape {
        let filter = self.filter;
        if !filter.correlation_id.is_empty() {
            &OF_CORRELATION
        } else if !filter.metadata.is_empty() {
            &OF_METADATA
        } else if !filter.error_type.is_empty() {
            &OF_ERROR
        } else if !filter.prompt_name.is_empty() && filter.version_number.is_some() {
            &OF_VERSION
        } else if !filter.prompt_name.is_empty() {
            &OF_PROMPT
        } else if !filter.label.is_empty() {
            &OF_LABEL
        } else if !filter.provider.is_empty() && !filter.model_name.is_empty() {
            &OF_MODEL
        } else if !filter.environment.is_empty() {
            &OF_ENVIRONMENT
        } else if !filter.statuses.is_empty() || filter.mode.is_some() {
            &OF_STATUSES
        } else {
            &OF_PROJECT
        }
    }

    /// Creation time and id of the last row of the page before; greater than those of every row on the first page.
    fn before(&self) -> ListPosition {
        self.before.unwrap_or((Timestamp(i64::MAX), ExecutionId(Uuid::max())))
    }

    /// Latest creation time, inclusive.
    fn last(&self) -> Timestamp {
        let end = self.filter.end_time.map_or(i64::MAX, |end| end.0.saturating_sub(1));
        Timestamp(end.min(self.before().0.0))
    }

    /// None where every status matches.
    fn statuses(&self) -> Option<Vec<&'static str>> {
        let statuses = &self.filter.statuses;
        let words = || Status::VARIANTS.iter().filter(|status| statuses.contains(status)).map(<&str>::from);
        (!statuses.is_empty()).then(|| words().collect())
    }
}

pub(super) async fn list(pool: &WatchedPool, page: PostgresPage<'_>) -> Result<Walked<Execution, ListPosition>> {
    let shape = page.shape();
    let arms = shape.arms.of(&page.filter.statuses, page.filter.mode, rows_walked(page.limit));
    let statement = &shape.statements[usize::from(page.texts)];
    let rows = error::list(pool, || PageParameters::query(statement, &page, &arms)).await?;
    let (mut executions, mut stopped) = (Vec::with_capacity(rows.len()), None);
    for row in &rows {
        let texts = if page.texts { Some(texts(row)?) } else { None };
        let execution = Execution { texts, ..execution(row)? };
        if row::value(row, "stopped")? {
            stopped = Some((execution.created_at, execution.id));
        }
        if row::value(row, "matches")? {
            executions.push(execution);
        }
    }
    let stopped = stopped.filter(|_| executions.len() < page.limit);
    Ok(Walked { rows: executions, stopped })
}
