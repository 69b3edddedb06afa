//! Small bars of numbers.

use std::collections::BTreeMap;

/// From the smallest to the highest.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The most bars in a line; older ones are left out.
const MOST: usize = 60;

/// Numbers by the time at which their bucket begins, in seconds since 1970, and how long a bucket is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BarSeries {
    counts: BTreeMap<i64, i64>,
}

impl BarSeries {
    pub(super) fn add(&mut self, begins: i64, count: i64) {
        let sum = self.counts.entry(begins).or_default();
        *sum = sum.saturating_add(count);
    }

    /// The first and the last bucket.
    pub(super) fn span(&self) -> Option<(i64, i64)> {
        Some((*self.counts.first_key_value()?.0, *self.counts.last_key_value()?.0))
    }

    /// A bar for each bucket of a span, by the highest one of the series; a blank where there is nothing. At most the last 60.
    pub(super) fn bars(&self, (first, last): (i64, i64), bucket_seconds: i64) -> String {
        let step = bucket_seconds.max(1);
        let most = i64::try_from(MOST).unwrap_or(i64::MAX);
        let first = first.max(last.saturating_sub(step.saturating_mul(most - 1)));
        let highest = self.counts.range(first..).map(|(_, count)| *count).max().unwrap_or(0);
        let begins =
            std::iter::successors(Some(first), |at| at.checked_add(step)).take_while(|at| *at <= last).take(MOST);
        begins.map(|at| bar(self.counts.get(&at).copied().unwrap_or(0), highest)).collect()
    }
}

/// A bar as high as `count` is of `highest`; a blank for none.
fn bar(count: i64, highest: i64) -> char {
    if count <= 0 || highest <= 0 {
        return ' ';
    }
    let heights = HEIGHTS.len() as u128;
    let height = (u128::from(count.unsigned_abs()) * heights).div_ceil(u128::from(highest.unsigned_abs()));
    let index = usize::try_from(height.saturating_sub(1)).unwrap_or(0).min(HEIGHTS.len() - 1);
    HEIGHTS.get(index).copied().unwrap_or(' ')
}

/// From the thinnest to the widest.
const WIDTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
/// Columns of the longest bar.
const LONGEST: usize = 16;

/// A bar as long as `count` is of `highest`; empty for none.
pub(super) fn length(count: i64, highest: i64) -> String {
    let (Ok(count), Ok(highest @ 1..)) = (u64::try_from(count), u64::try_from(highest)) else { return String::new() };
    let eighths = u128::from(count) * (LONGEST as u128) * 8 / u128::from(highest);
    let eighths = usize::try_from(eighths).unwrap_or(0).clamp(usize::from(count > 0), 8 * LONGEST);
    let last = (eighths % 8).checked_sub(1).and_then(|index| WIDTHS.get(index));
    std::iter::repeat_n('█', eighths / 8).chain(last.copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(counts: &[(i64, i64)]) -> BarSeries {
        let mut series = BarSeries::default();
        counts.iter().for_each(|(at, count)| series.add(*at, *count));
        series
    }

    #[test]
    fn bars_are_as_high_as_their_share_of_the_highest() {
        let series = series(&[(0, 8), (60, 4), (120, 1), (240, 8), (240, 8)]);
        assert_eq!(series.span(), Some((0, 240)));
        assert_eq!(series.bars((0, 240), 60), "▄▂▁ █");
        assert_eq!(series.bars((-60, 300), 60), " ▄▂▁ █ ");
        assert_eq!(series.bars((i64::MAX - 10, i64::MAX), 7), "  ");
    }

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        for (count, bar) in [(0, ""), (1, "▏"), (64, "████████"), (100, "████████████▌"), (128, "████████████████")]
        {
            assert_eq!(length(count, 128), bar, "{count}");
        }
        assert_eq!(
            (length(1, 1_000_000), length(1, 0), length(i64::MAX, i64::MAX).chars().count()),
            ("▏".into(), String::new(), 16)
        );
    }

    #[test]
    fn none_and_many_are_shown_too() {
        assert_eq!((BarSeries::default().span(), bar(0, 0), bar(i64::MAX, i64::MAX)), (None, ' ', '█'));
        let many = series(&[(0, 100), (6_000, 1)]);
        let bars = many.bars((0, 6_000), 60);
        assert_eq!((bars.chars().count(), bars.trim_start()), (MOST, "█"));
    }
}
