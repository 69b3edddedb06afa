//! A level that is one higher for as long as a value lives.

use std::fmt;

use crate::family::Family;

/// Counted until it is dropped.
pub struct LevelHold {
    level: &'static dyn Level,
    series: usize,
}

trait Level: Sync {
    fn add(&self, series: usize, count: i64);
}

impl<const N: usize> Level for Family<N> {
    fn add(&self, series: usize, count: i64) {
        Family::add(self, series, count);
    }
}

impl LevelHold {
    pub(crate) fn of<const N: usize>(level: &'static Family<N>, series: usize) -> Self {
        level.add(series, 1);
        Self { level, series }
    }
}

impl Drop for LevelHold {
    fn drop(&mut self) {
        self.level.add(self.series, -1);
    }
}

impl fmt::Debug for LevelHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LevelHold").finish_non_exhaustive()
    }
}
