//! Sums over executions, and a histogram of latencies that can be added up and still gives percentiles.

use std::collections::BTreeMap;

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::Timestamp;

/// The period of one row of figures, in UTC or at a [`UtcOffset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Bucket {
    /// From second 0 to the next minute.
    Minute,
    /// From minute 0 to the next hour.
    Hour,
    /// From midnight to midnight.
    Day,
}

impl Bucket {
    /// Length of the period, in microseconds.
    #[must_use]
    pub const fn micros(self) -> i64 {
        match self {
            Self::Minute => 60_000_000,
            Self::Hour => 3_600_000_000,
            Self::Day => 86_400_000_000,
        }
    }

    /// Start of the period that contains `at`.
    #[must_use]
    pub fn start(self, at: Timestamp, offset: UtcOffset) -> Timestamp {
        Timestamp(at.0 - (at.0 + offset.micros()).rem_euclid(self.micros()))
    }

    /// The longest period of UTC of which this period, at an offset, consists: an hour for days at +02:00.
    #[must_use]
    pub fn consists_of(self, offset: UtcOffset) -> Self {
        let whole = |part: &Self| part.micros() <= self.micros() && offset.micros() % part.micros() == 0;
        Self::VARIANTS.iter().copied().rev().find(whole).unwrap_or(Self::Minute)
    }
}

/// How far the time of a place is ahead of UTC, in minutes: at most 18 hours, negative where it is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UtcOffset(i32);

impl UtcOffset {
    /// No offset.
    pub const UTC: Self = Self(0);

    /// `None` beyond 18 hours.
    #[must_use]
    pub fn from_minutes(minutes: i32) -> Option<Self> {
        (-18 * 60..=18 * 60).contains(&minutes).then_some(Self(minutes))
    }

    /// The offset in minutes.
    #[must_use]
    pub const fn minutes(self) -> i32 {
        self.0
    }

    /// The offset in microseconds.
    #[must_use]
    pub fn micros(self) -> i64 {
        i64::from(self.0) * Bucket::Minute.micros()
    }
}

/// Each doubling of the latency has 2^6 steps.
const PRECISION: u32 = 6;

/// Counts of latencies by step. Up to 127 ms each millisecond is a step; above, a step is at most 1/64 of its latencies
/// wide, so that its middle is within 0.8 % of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<u16, u64>);

impl Histogram {
    /// Counts one latency; a negative one counts as 0.
    pub fn record(&mut self, milliseconds: i32) {
        self.add_step(step(milliseconds), 1);
    }

    /// Counts `count` latencies at a step, as [`Histogram::steps`] gave it.
    pub fn add_step(&mut self, step: u16, count: u64) {
        *self.0.entry(step).or_default() += count;
    }

    /// Adds the counts of another histogram.
    pub fn add(&mut self, others: &Self) {
        for (step, count) in others.steps() {
            self.add_step(step, count);
        }
    }

    /// The steps with a count above 0, in ascending order, each with its count.
    pub fn steps(&self) -> impl Iterator<Item = (u16, u64)> {
        self.0.iter().map(|(step, count)| (*step, *count))
    }

    /// Number of latencies, over all steps.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// The nearest-rank percentile in milliseconds: of n latencies the one at place n * percent / 100, rounded up,
    /// counted from 1. Exact up to 127 ms, within 0.8 % above. `None` where there is no latency.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<f64> {
        let place = (self.count() * percent).div_ceil(100).max(1);
        let mut passed = 0;
        let reached = |(step, count): (u16, u64)| {
            passed += count;
            (passed >= place).then(|| middle(step))
        };
        self.steps().find_map(reached)
    }
}

fn step(milliseconds: i32) -> u16 {
    let value = u32::try_from(milliseconds).unwrap_or(0);
    let shift = (u32::BITS - value.leading_zeros()).saturating_sub(PRECISION + 1);
    // At most 24 * 64 + 127, for `i32::MAX`.
    u16::try_from((shift << PRECISION) + (value >> shift)).unwrap_or(u16::MAX)
}

/// The middle of a step's latencies, in milliseconds.
fn middle(step: u16) -> f64 {
    let shift = (u32::from(step) >> PRECISION).saturating_sub(1);
    let lowest = u64::from(u32::from(step) - (shift << PRECISION)) << shift;
    let width = 1_u64 << shift;
    #[expect(clippy::cast_precision_loss, reason = "both are far below 2^53")]
    let middle = lowest as f64 + (width - 1) as f64 / 2.0;
    middle
}

/// Sums over a set of executions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of executions, whatever their status.
    pub executions: i64,
    /// Sum over the executions that have this count.
    pub prompt_tokens: i64,
    /// Sum over the executions that have this count.
    pub response_tokens: i64,
    /// Number of executions that have a cost.
    pub with_cost: i64,
    /// Sum of these costs, in nano-US-dollars.
    pub cost: i128,
    /// Sum in milliseconds, over the executions that have a latency.
    pub latency_sum: i64,
    /// The latencies of which `latency_sum` is the sum.
    pub latencies: Histogram,
}

impl Tally {
    /// Adds the sums of another set of executions.
    pub fn add(&mut self, others: &Self) {
        self.executions += others.executions;
        self.prompt_tokens += others.prompt_tokens;
        self.response_tokens += others.response_tokens;
        self.with_cost += others.with_cost;
        self.cost += others.cost;
        self.latency_sum += others.latency_sum;
        self.latencies.add(&others.latencies);
    }

    /// In milliseconds, over the executions that have a latency; absent where none has one.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a sum above 2^53 ms is two hundred thousand years")]
    pub fn average_latency(&self) -> Option<f64> {
        let count = self.latencies.count();
        (count > 0).then(|| self.latency_sum as f64 / count as f64)
    }

    /// The cost in nano-US-dollars, at most `i64::MAX`; absent where no execution has one.
    #[must_use]
    pub fn cost_nano_usd(&self) -> Option<i64> {
        (self.with_cost > 0).then(|| i64::try_from(self.cost).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(latencies: impl IntoIterator<Item = i32>) -> Histogram {
        let mut histogram = Histogram::default();
        latencies.into_iter().for_each(|latency| histogram.record(latency));
        histogram
    }

    #[test]
    fn every_latency_is_within_one_in_a_hundred_of_its_steps_middle() {
        let powers = (0..31).flat_map(|power| [-1, 0, 1].map(|by: i32| (1_i32 << power).saturating_add(by)));
        for latency in (0..20_000).chain(powers).chain([i32::MAX]) {
            let told = of([latency]).percentile(50).unwrap();
            let exact = f64::from(latency);
            assert!((told - exact).abs() <= exact * 0.008, "{latency} is told as {told}");
            assert!(latency > 127 || (told - exact).abs() < f64::EPSILON, "{latency} is told as {told}");
        }
        assert_eq!(of([-5]), of([0]));
    }

    #[test]
    fn periods_begin_where_the_time_of_the_place_is_round() {
        let (minute, hour) = (Bucket::Minute.micros(), Bucket::Hour.micros());
        for (bucket, minutes, at, start, parts) in [
            (Bucket::Day, 0, 25 * hour, 24 * hour, Bucket::Day),
            (Bucket::Day, 120, 21 * hour, -2 * hour, Bucket::Hour),
            (Bucket::Day, 120, 22 * hour, 22 * hour, Bucket::Hour),
            (Bucket::Day, -180, 3 * hour - 1, -21 * hour, Bucket::Hour),
            (Bucket::Day, -180, 3 * hour, 3 * hour, Bucket::Hour),
            (Bucket::Day, 330, 18 * hour + 30 * minute, 18 * hour + 30 * minute, Bucket::Minute),
            (Bucket::Hour, 330, hour, 30 * minute, Bucket::Minute),
            (Bucket::Hour, 120, hour + 1, hour, Bucket::Hour),
            (Bucket::Minute, 345, minute + 1, minute, Bucket::Minute),
        ] {
            let offset = UtcOffset::from_minutes(minutes).unwrap();
            assert_eq!(bucket.start(Timestamp(at), offset), Timestamp(start), "{bucket} {minutes} {at}");
            assert_eq!(bucket.consists_of(offset), parts, "{bucket} {minutes}");
            assert_eq!(offset.minutes(), minutes);
        }
        assert_eq!(UtcOffset::from_minutes(0), Some(UtcOffset::UTC));
        assert_eq!([-1_081, 1_081].map(UtcOffset::from_minutes), [None, None]);
        assert!([-1_080, 1_080].into_iter().all(|minutes| UtcOffset::from_minutes(minutes).is_some()));
    }

    #[test]
    fn steps_follow_each_other_without_gaps() {
        let steps: Vec<u16> = (0..300_000).map(step).collect();
        assert!(steps.windows(2).all(|pair| pair[1] == pair[0] || pair[1] == pair[0] + 1));
        assert_eq!(step(i32::MAX), 24 * 64 + 127);
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_list() {
        for count in [1, 2, 3, 10, 99, 100, 101] {
            let histogram = of(1..=count);
            for percent in [50, 95, 99, 100] {
                let place = (i64::from(count) * percent + 99) / 100;
                let told = histogram.percentile(u64::try_from(percent).unwrap()).unwrap();
                assert!((told - f64::from(i32::try_from(place).unwrap())).abs() < f64::EPSILON, "{count} {percent}");
            }
        }
        assert_eq!(of([]).percentile(50), None);
    }

    #[test]
    fn tallies_add_up_and_absent_stays_absent() {
        let nothing = Tally::default();
        assert_eq!((nothing.average_latency(), nothing.cost_nano_usd()), (None, None));
        let one = Tally {
            executions: 3,
            prompt_tokens: 10,
            response_tokens: 4,
            with_cost: 1,
            cost: i128::from(i64::MAX),
            latency_sum: 30,
            latencies: of([10, 20]),
        };
        let mut both = one.clone();
        both.add(&one);
        assert_eq!((both.executions, both.prompt_tokens, both.response_tokens, both.with_cost), (6, 20, 8, 2));
        assert_eq!((both.latency_sum, both.latencies.count(), both.cost), (60, 4, 2 * i128::from(i64::MAX)));
        assert_eq!((both.average_latency(), both.cost_nano_usd()), (Some(15.0), Some(i64::MAX)));
        assert_eq!(one.cost_nano_usd(), Some(i64::MAX));
        assert_eq!(
            Bucket::VARIANTS.iter().map(|b| b.micros()).collect::<Vec<_>>(),
            [60_000_000, 3_600_000_000, 86_400_000_000]
        );
    }
}
