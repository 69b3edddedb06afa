//! Counts and levels whose labels are all known when they are compiled: an atomic for each combination, read when
//! somebody collects. Noting one costs an addition, whether metrics are on or not.

use std::sync::atomic::{AtomicI64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

/// A label: its name and its value.
pub(crate) type Label = (&'static str, &'static str);

#[derive(Clone, Copy, PartialEq, Eq)]
enum FamilyKind {
    /// Only grows.
    Counter,
    Level,
}

/// The value of a level that was never set: it is not told.
const UNSET: i64 = i64::MIN;

/// A metric with a series for each of `N` combinations of labels.
pub(crate) struct Family<const N: usize> {
    kind: FamilyKind,
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    labels: [&'static [Label]; N],
    values: [AtomicI64; N],
}

impl<const N: usize> Family<N> {
    /// A counter; each series is told from the start, so that its first increase is seen.
    pub(crate) const fn counter(name: &'static str, help: &'static str, labels: [&'static [Label]; N]) -> Self {
        Self { kind: FamilyKind::Counter, name, unit: "", help, labels, values: [const { AtomicI64::new(0) }; N] }
    }

    /// A number of things that come and go.
    pub(crate) const fn level(
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        labels: [&'static [Label]; N],
    ) -> Self {
        Self { kind: FamilyKind::Level, name, unit, help, labels, values: [const { AtomicI64::new(0) }; N] }
    }

    /// A level that only some processes know: told once it is set.
    pub(crate) const fn known_by_some(
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        labels: [&'static [Label]; N],
    ) -> Self {
        Self { kind: FamilyKind::Level, name, unit, help, labels, values: [const { AtomicI64::new(UNSET) }; N] }
    }

    pub(crate) fn add(&self, series: usize, count: i64) {
        if let Some(value) = self.values.get(series) {
            value.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(crate) fn set(&self, series: usize, level: i64) {
        if let Some(value) = self.values.get(series) {
            value.store(level, Ordering::Relaxed);
        }
    }

    /// The level is not known any longer.
    pub(crate) fn unset(&self, series: usize) {
        self.set(series, UNSET);
    }

    #[cfg(test)]
    pub(crate) fn labels_of(&self, series: usize) -> &'static [Label] {
        self.labels[series]
    }

    /// Each labelled value that is told now.
    fn told(&self) -> impl Iterator<Item = (usize, i64)> {
        let values = self.values.iter().map(|value| value.load(Ordering::Relaxed)).enumerate();
        values.filter(|(_, value)| *value != UNSET)
    }
}

/// What is collected from the statics of this crate.
pub(crate) trait Collected: Sync {
    fn register(&'static self, meter: &Meter);
}

impl<const N: usize> Collected for Family<N> {
    fn register(&'static self, meter: &Meter) {
        let labels =
            self.labels.map(|labels| labels.iter().map(|(name, value)| KeyValue::new(*name, *value)).collect());
        let labels: [Vec<KeyValue>; N] = labels;
        match self.kind {
            FamilyKind::Counter => {
                let counter = meter.u64_observable_counter(self.name).with_unit(self.unit).with_description(self.help);
                let observed = counter.with_callback(move |observer| {
                    for (series, value) in self.told() {
                        observer.observe(value.unsigned_abs(), labels.get(series).map_or(&[][..], Vec::as_slice));
                    }
                });
                observed.build();
            }
            FamilyKind::Level => {
                let gauge = meter.i64_observable_gauge(self.name).with_unit(self.unit).with_description(self.help);
                let observed = gauge.with_callback(move |observer| {
                    for (series, value) in self.told() {
                        observer.observe(value, labels.get(series).map_or(&[][..], Vec::as_slice));
                    }
                });
                observed.build();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_told_from_the_start_and_a_level_that_is_unknown_is_not() {
        static COUNTER: Family<2> = Family::counter("a", "", [&[("b", "c")], &[("b", "d")]]);
        static LEVEL: Family<2> = Family::known_by_some("a", "", "", [&[], &[]]);
        COUNTER.add(1, 3);
        COUNTER.add(7, 3);
        LEVEL.set(1, -4);
        assert_eq!(COUNTER.told().collect::<Vec<_>>(), [(0, 0), (1, 3)]);
        assert_eq!(LEVEL.told().collect::<Vec<_>>(), [(1, -4)]);
        LEVEL.unset(1);
        assert_eq!(LEVEL.told().count(), 0);
    }
}
