//! The use cases of AnalyticsService.

use std::sync::Arc;

use prompt_ledger_domain::VariantArray as _;
use prompt_ledger_domain::field::Name;
use prompt_ledger_domain::prompt::Mode;
use prompt_ledger_domain::{Error, Result};
use prompt_ledger_store::{Analytics, PromptCounts, Split, UsageFilter, UsageKey, UsageRow};

use super::Caller;

pub struct AnalyticsService {
    store: Arc<dyn Analytics>,
}

/// The figures of a project, by mode and in total.
pub struct Overview {
    /// Prompts of the modes that were asked for; 0 of the others.
    pub prompts: PromptCounts,
    /// The sum over `by_mode`.
    pub total: UsageRow,
    /// A row for each mode that was asked for; zeros where it has no executions.
    pub by_mode: Vec<(Mode, UsageRow)>,
}

impl AnalyticsService {
    pub fn new(store: Arc<dyn Analytics>) -> Self {
        Self { store }
    }

    /// Prompts and figures by mode; INVALID_FIELD for an invalid filter.
    pub async fn overview(&self, caller: &Caller, filter: &UsageFilter) -> Result<Overview> {
        check(filter, "")?;
        let (prompts, rows) = self.store.overview(caller.project.id, filter).await?;
        Ok(summed(filter.mode, prompts, rows))
    }

    /// Up to `limit` rows after the key `after`; INVALID_FIELD for an invalid filter.
    pub async fn usage(
        &self,
        caller: &Caller,
        filter: &UsageFilter,
        split: Split,
        after: Option<&UsageKey>,
        limit: usize,
    ) -> Result<Vec<UsageRow>> {
        check(filter, "filters.")?;
        self.store.usage(caller.project.id, filter, split, after, limit).await
    }
}

/// INVALID_FIELD for an invalid filter; `at` is the prefix of its fields' names.
fn check(filter: &UsageFilter, at: &str) -> Result<()> {
    let UsageFilter { start_time, end_time, .. } = filter;
    if start_time.zip(*end_time).is_some_and(|(start, end)| end < start) {
        return Err(Error::invalid(format!("{at}end_time"), format!("is before {at}start_time; send a later one")));
    }
    for (field, name) in [("prompt_name", &filter.prompt_name), ("environment", &filter.environment)] {
        if !name.is_empty() {
            Name::parse(&format!("{at}{field}"), name)?;
        }
    }
    if filter.version_number.is_some() && filter.prompt_name.is_empty() {
        let problem = format!("needs {at}prompt_name: versions are numbered per prompt");
        return Err(Error::invalid(format!("{at}version_number"), problem));
    }
    Ok(())
}

/// `rows` holds the modes that have executions.
fn summed(asked: Option<Mode>, prompts: PromptCounts, mut rows: Vec<UsageRow>) -> Overview {
    let mut counted = PromptCounts::default();
    let mut total = UsageRow::none(UsageKey::default());
    let mut by_mode = Vec::new();
    for mode in Mode::VARIANTS.iter().copied().filter(|mode| asked.is_none_or(|asked| asked == *mode)) {
        match mode {
            Mode::Full => (counted.full, counted.archived_full) = (prompts.full, prompts.archived_full),
            Mode::Tracking => {
                (counted.tracking, counted.archived_tracking) = (prompts.tracking, prompts.archived_tracking);
            }
        }
        let row = match rows.iter().position(|row| row.key.mode == Some(mode)) {
            Some(at) => rows.swap_remove(at),
            None => UsageRow::none(UsageKey { mode: Some(mode), ..UsageKey::default() }),
        };
        total.succeeded += row.succeeded;
        total.failed += row.failed;
        total.canceled += row.canceled;
        total.tally.add(&row.tally);
        by_mode.push((mode, row));
    }
    Overview { prompts: counted, total, by_mode }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(mode: Mode, executions: i64, cost: Option<i128>) -> UsageRow {
        let mut row = UsageRow::none(UsageKey { mode: Some(mode), ..UsageKey::default() });
        row.succeeded = executions - 1;
        row.tally.executions = executions;
        row.tally.with_cost = cost.map_or(0, |_| executions);
        row.tally.cost = cost.unwrap_or(0);
        row
    }

    #[test]
    fn an_overview_sums_the_modes_that_were_asked_for() {
        let prompts = PromptCounts { full: 2, tracking: 3, archived_full: 1, archived_tracking: 4 };
        let rows = || vec![row(Mode::Tracking, 5, None), row(Mode::Full, 2, Some(7))];
        let tracking = PromptCounts { full: 0, archived_full: 0, ..prompts };
        for (asked, rows, counted, modes, executions, unfinished, cost) in [
            (None, rows(), prompts, vec![Mode::Full, Mode::Tracking], 7, 2, Some(7)),
            (Some(Mode::Tracking), rows(), tracking, vec![Mode::Tracking], 5, 1, None),
            (None, vec![], prompts, vec![Mode::Full, Mode::Tracking], 0, 0, None),
        ] {
            let overview = summed(asked, prompts, rows);
            assert_eq!(overview.prompts, counted);
            assert_eq!(overview.by_mode.iter().map(|(mode, _)| *mode).collect::<Vec<_>>(), modes);
            assert!(overview.by_mode.iter().all(|(mode, row)| row.key.mode == Some(*mode)));
            let total = &overview.total;
            assert_eq!((total.tally.executions, total.unfinished()), (executions, unfinished));
            assert_eq!(total.tally.cost_nano_usd(), cost);
        }
    }
}
