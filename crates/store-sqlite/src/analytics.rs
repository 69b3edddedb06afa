//! Usage figures, each result from one snapshot: how far rollups go is read first, then the rollups, the open
//! executions and the executions that together contain each execution once (`rollup::cover`).

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use async_trait::async_trait;
use prompt_ledger_domain::VariantArray as _;
use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::usage::Bucket;
use prompt_ledger_domain::{Result, Timestamp};
use rusqlite::{Connection, ToSql};

use super::figures::{Common, Figures};
use super::list::{Named, named};
use super::row::at;
use super::statement::{Script, parameters};
use super::{Sqlite, roll_up, tally};
use prompt_ledger_store::rollup::{self, Cover};
use prompt_ledger_store::rows::usage::add_prompts;
use prompt_ledger_store::{Analytics, PromptCounts, Split, UsageFilter, UsageKey, UsageRow};

static PROMPTS: LazyLock<Script> = LazyLock::new(|| {
    let sql = include_str!("sql/prompt_counts.sql");
    Script::new(sql, &["project_id"])
});

/// The series of a prompt, or those of the whole project.
static SERIES: LazyLock<Script> =
    LazyLock::new(|| series("usage_series s LEFT JOIN prompts p ON p.id = s.prompt_id", "s.prompt_id = :scope"));

/// The series of every prompt from a name on, in the order of names.
static SERIES_OF_ALL: LazyLock<Script> = LazyLock::new(|| {
    let of = "p.project_id = :project AND p.name >= :scope";
    series("prompts p CROSS JOIN usage_series s ON s.prompt_id = p.id", of)
});

fn series(from: &str, of: &str) -> Script {
    let sql = include_str!("sql/series.sql").replace("{from}", from).replace("{of}", of);
    Script::new(&sql, UsageSeriesParameters::NAMES)
}

parameters! {
    /// `scope` is the id of the prompt, empty for the whole project; in [`SERIES_OF_ALL`] the first name. `totals` selects the
    /// project's totals instead of what they add up.
    UsageSeriesParameters(question: &SqliteUsageQuery<'_>, named: &Named, scope: &str) {
        project = question.project.to_string(),
        scope = scope,
        mode = question.filter.mode.map(<&str>::from),
        version = &named.version,
        provider = &question.filter.provider,
        model = &question.filter.model,
        environment = &question.filter.environment,
        totals = question.is_about_totals(),
    }
}

static ROLLUPS: LazyLock<Script> = LazyLock::new(|| {
    let sql = concat!(
        "SELECT start, ",
        tally::sums!(),
        " FROM usage_rollups WHERE series = :series AND span = :span AND start >= :start AND start < :stop"
    );
    Script::new(sql, &["series", "span", "start", "stop"])
});

static EXECUTIONS: LazyLock<Script> = LazyLock::new(|| singles("executions e INDEXED BY executions_project", "e"));
static OPEN_EXECUTIONS: LazyLock<Script> =
    LazyLock::new(|| singles("usage_open_executions s CROSS JOIN executions e ON e.id = s.execution_id", "s"));

/// Executions one by one, found by project and creation time in the table with the alias `of`.
fn singles(from: &str, of: &str) -> Script {
    let sql = include_str!("sql/single.sql").replace("{from}", from).replace("{of}", of);
    Script::new(&sql, SinglesParameters::NAMES)
}

parameters! {
    SinglesParameters(question: &SqliteUsageQuery<'_>, named: &Named, span: (i64, i64)) {
        project = question.project.to_string(),
        by_prompt = question.by_prompt(),
        by_version = question.split.version,
        start = span.0,
        stop = span.1,
        mode = question.filter.mode.map(<&str>::from),
        prompt = &named.prompt,
        version = &named.version,
        provider = &question.filter.provider,
        model = &question.filter.model,
        environment = &question.filter.environment,
    }
}

/// The arguments of a usage query.
struct SqliteUsageQuery<'a> {
    project: ProjectId,
    filter: &'a UsageFilter,
    split: Split,
    after: Option<&'a UsageKey>,
    limit: usize,
}

impl SqliteUsageQuery<'_> {
    fn by_prompt(&self) -> bool {
        self.split.prompt || self.split.version
    }

    /// Whether the project's totals have all that is asked for.
    fn is_about_totals(&self) -> bool {
        let UsageFilter { prompt_name, provider, model, environment, .. } = self.filter;
        let narrows = [prompt_name, provider, model, environment].iter().any(|text| !text.is_empty());
        !narrows && !self.by_prompt() && !self.split.model && !self.split.environment
    }

    /// Whether the answer is in the order of prompts, so that those after its last row need not be read.
    fn in_order_of_prompts(&self) -> bool {
        self.by_prompt() && self.split.bucket.is_none() && !self.split.mode
    }

    fn cover(&self, until: Timestamp) -> Cover {
        // Skips the intervals before the one that the previous page ended in.
        let start = self.filter.start_time.max(self.after.and_then(|after| after.bucket_start));
        let start = start.map_or(i64::MIN, |start| start.0);
        let end = self.filter.end_time.map_or(i64::MAX, |end| end.0);
        let longest = self.split.bucket.map_or(Bucket::Day, |bucket| bucket.consists_of(self.split.utc_offset));
        rollup::cover(start, end, until.0, longest)
    }
}

#[async_trait]
impl Analytics for Sqlite {
    async fn overview(&self, project: ProjectId, filter: &UsageFilter) -> Result<(PromptCounts, Vec<UsageRow>)> {
        let filter = filter.clone();
        let overview = move |connection: &Connection| {
            let split = Split { mode: true, ..Split::default() };
            let limit = Mode::VARIANTS.len();
            let rows = ask(connection, &SqliteUsageQuery { project, filter: &filter, split, after: None, limit })?;
            let mut prompts = PromptCounts::default();
            let id = project.to_string();
            PROMPTS.rows(connection, [&id as &dyn ToSql], |row| add_prompts(&mut prompts, row))?;
            Ok((prompts, rows))
        };
        self.lists.snapshot(overview).await
    }

    async fn usage(
        &self,
        project: ProjectId,
        filter: &UsageFilter,
        split: Split,
        after: Option<&UsageKey>,
        limit: usize,
    ) -> Result<Vec<UsageRow>> {
        let (filter, after) = (filter.clone(), after.cloned());
        let usage = move |connection: &Connection| {
            let after = after.as_ref();
            ask(connection, &SqliteUsageQuery { project, filter: &filter, split, after, limit })
        };
        self.lists.snapshot(usage).await
    }

    async fn version_counts(
        &self,
        project: ProjectId,
        prompt_name: &str,
        first: i32,
        versions: usize,
    ) -> Result<HashMap<i32, i64>> {
        let name = Some(prompt_name.to_owned());
        let filter = UsageFilter { prompt_name: prompt_name.to_owned(), ..UsageFilter::default() };
        let split = Split { version: true, ..Split::default() };
        let before = UsageKey { prompt_name: name, version_number: Some(first - 1), ..UsageKey::default() };
        let rows = self.usage(project, &filter, split, Some(&before), versions).await?;
        Ok(rows.into_iter().filter_map(|row| Some((row.key.version_number?, row.tally.executions))).collect())
    }
}

fn ask(connection: &Connection, question: &SqliteUsageQuery<'_>) -> Result<Vec<UsageRow>> {
    let filter = question.filter;
    let named = named(connection, question.project, &filter.prompt_name, filter.version_number)?;
    let Some(named) = named else { return Ok(Vec::new()) };
    let cover = question.cover(roll_up::until(connection, &question.project.to_string())?);
    let mut figures = Figures::new(question.split, question.after, question.limit);
    add_rollups(connection, question, &named, &cover, &mut figures)?;
    let raw = cover.raw.iter().map(|span| (&EXECUTIONS, *span));
    for (script, span) in raw.chain([(&OPEN_EXECUTIONS, cover.open_executions)]) {
        script.each(connection, SinglesParameters::values(question, &named, span), |row| {
            figures.add_single(row)?;
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(figures.rows())
}

fn add_rollups(
    connection: &Connection,
    question: &SqliteUsageQuery<'_>,
    named: &Named,
    cover: &Cover,
    figures: &mut Figures<'_>,
) -> Result<()> {
    if cover.rollups.is_empty() {
        return Ok(());
    }
    let first_name = question.after.and_then(|after| after.prompt_name.as_deref());
    let first_name = first_name.filter(|_| question.in_order_of_prompts()).unwrap_or_default();
    let (script, scope): (&LazyLock<_>, _) = match &named.prompt {
        Some(prompt) => (&SERIES, prompt.as_str()),
        None if question.by_prompt() => (&SERIES_OF_ALL, first_name),
        None => (&SERIES, ""),
    };
    let mut prompt = None;
    script.each(connection, UsageSeriesParameters::values(question, named, scope), |row| {
        let common = figures.common(row)?;
        if question.in_order_of_prompts() && common.key.prompt_name != prompt {
            // All groups so far are of prompts before this one, and complete but for single executions.
            if figures.len() >= question.limit {
                return Ok(ControlFlow::Break(()));
            }
            prompt.clone_from(&common.key.prompt_name);
        }
        add_series(connection, at(row, 0)?, &common, cover, figures)?;
        Ok(ControlFlow::Continue(()))
    })
}

fn add_series(
    connection: &Connection,
    series: i64,
    common: &Common,
    cover: &Cover,
    figures: &mut Figures<'_>,
) -> Result<()> {
    for (length, start, stop) in &cover.rollups {
        ROLLUPS.each(connection, [&series as &dyn ToSql, &roll_up::span(*length), start, stop], |row| {
            figures.add_rollup(common, row)?;
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(())
}

#[cfg(test)]
pub(super) fn scripts() -> [&'static Script; 6] {
    [&PROMPTS, &SERIES, &SERIES_OF_ALL, &ROLLUPS, &EXECUTIONS, &OPEN_EXECUTIONS]
}
