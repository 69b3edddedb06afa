//! Decides which executions are in rollups, and which rollups cover a time span: pure functions. Times are microseconds
//! since 1970; none is earlier.
//!
//! Executions created before `until` are in rollups of one minute, one hour and one day; those of an hour or a day
//! exist only where it was over by `until`. A time span therefore consists of whole days, around them whole hours,
//! around them whole minutes, and at both ends of the executions themselves.

use prompt_ledger_domain::VariantArray as _;
use prompt_ledger_domain::usage::{Bucket, Histogram};

/// In Postgres `until` moves by multiples of this: 10 s.
pub const STEP: i64 = 10_000_000;

/// Rollups of one length: from a start (inclusive) to an end (exclusive), both multiples of the length.
pub type Rollups = (Bucket, i64, i64);

/// The sources that together contain each execution of a time span once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cover {
    /// Spans whose executions are read themselves: start inclusive, end exclusive.
    pub raw: Vec<(i64, i64)>,
    /// Rollups to read, in the order of time.
    pub rollups: Vec<Rollups>,
    /// Span whose open executions are read in addition to the rollups: start inclusive, end exclusive.
    pub open_executions: (i64, i64),
}

/// The largest multiple of `length` that is not greater than `at`.
pub fn floor(at: i64, length: i64) -> i64 {
    at - at.rem_euclid(length)
}

fn ceil(at: i64, length: i64) -> i64 {
    floor(at, length) + if at.rem_euclid(length) == 0 { 0 } else { length }
}

/// The cover of `start` (inclusive) to `end` (exclusive), with rollups no longer than `coarsest`.
pub fn cover(start: i64, end: i64, until: i64, coarsest: Bucket) -> Cover {
    let minute = Bucket::Minute.micros();
    let [start, end] = [start, end].map(|at| at.clamp(0, i64::MAX - Bucket::Day.micros()));
    // The rollup of the minute that contains `until` holds everything of it before `until`.
    let (last, raw_from) = match end >= until {
        true => (ceil(until, minute), until),
        false => (floor(end, minute), floor(end, minute)),
    };
    let first = ceil(start, minute);
    let mut cover = Cover::default();
    let mut raw = |from, to| {
        if from < to {
            cover.raw.push((from, to));
        }
    };
    if first >= last {
        raw(start, end);
        return cover;
    }
    raw(start, first);
    raw(raw_from, end);
    cover.open_executions = (first, last.min(until));
    let lengths: Vec<_> =
        Bucket::VARIANTS.iter().copied().filter(|length| length.micros() <= coarsest.micros()).collect();
    split(&mut cover.rollups, (first, last), until, &lengths);
    cover
}

/// Takes the longest rollups, the last of `lengths`, from the middle of the span, and shorter ones on both sides.
fn split(rollups: &mut Vec<Rollups>, (first, last): (i64, i64), until: i64, lengths: &[Bucket]) {
    let Some((length, shorter)) = lengths.split_last() else { return };
    let micros = length.micros();
    // Every minute has a rollup; an hour or a day only once it is over.
    let over = if shorter.is_empty() { last } else { last.min(until) };
    let (from, to) = (ceil(first, micros), floor(over, micros));
    if from >= to {
        return split(rollups, (first, last), until, shorter);
    }
    split(rollups, (first, from), until, shorter);
    rollups.push((*length, from, to));
    split(rollups, (to, last), until, shorter);
}

/// Whether the rollup of this length that contains `created_at` exists: always for a minute, otherwise once its time is
/// over.
pub fn is_built(length: Bucket, created_at: i64, until: i64) -> bool {
    length == Bucket::Minute || floor(created_at, length.micros()) + length.micros() <= until
}

/// The next value of `until`, a multiple of `step`. Executions older than `lazy` are moved; where more than a crowd are waiting, those before
/// `next`, the first one after the crowd, and at least one step. Nothing at or after `closed` is moved, and `until`
/// never goes back.
pub fn advance(step: i64, until: i64, closed: i64, lazy: i64, next: Option<i64>) -> i64 {
    let wanted = match next {
        Some(next) => floor(next, step).max(until + step),
        None => floor(lazy, step),
    };
    wanted.min(floor(closed, step)).max(until)
}

/// Encodes a histogram: for each step its number (2 bytes) and count (4 bytes), big-endian. Two encodings concatenated
/// are the sum of the histograms.
pub fn to_bytes(histogram: &Histogram) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (step, mut count) in histogram.steps() {
        while count > 0 {
            let part = u32::try_from(count).unwrap_or(u32::MAX);
            bytes.extend(step.to_be_bytes());
            bytes.extend(part.to_be_bytes());
            count -= u64::from(part);
        }
    }
    bytes
}

/// Length of the array that counts are added in when there are many entries: covers every step that a latency can have.
const STEPS: usize = 1_664;
/// Number of entries from which that array is used.
const MANY: usize = 256;

/// Adds what [`to_bytes`] wrote, any number of encodings concatenated.
pub fn add_steps(histogram: &mut Histogram, bytes: &[u8]) {
    let entries = bytes.as_chunks::<6>().0.iter().map(|[s0, s1, c0, c1, c2, c3]| {
        (u16::from_be_bytes([*s0, *s1]), u64::from(u32::from_be_bytes([*c0, *c1, *c2, *c3])))
    });
    if bytes.len() < 6 * MANY {
        entries.for_each(|(step, count)| histogram.add_step(step, count));
        return;
    }
    let mut counts = vec![0; STEPS];
    for (step, count) in entries {
        match counts.get_mut(usize::from(step)) {
            Some(sum) => *sum += count,
            None => histogram.add_step(step, count),
        }
    }
    for (step, count) in (0..).zip(counts).filter(|(_, count)| *count > 0) {
        histogram.add_step(step, count);
    }
}

/// Adds latencies in milliseconds, 4 bytes each, big-endian.
pub fn add_latencies(histogram: &mut Histogram, bytes: &[u8]) {
    for latency in bytes.as_chunks::<4>().0 {
        histogram.record(i32::from_be_bytes(*latency));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = Bucket::Minute.micros();
    const HOUR: i64 = Bucket::Hour.micros();
    const DAY: i64 = Bucket::Day.micros();

    /// The spans that a cover contains: of the raw rows, and of the rollups as far as they are filled.
    fn answered(cover: &Cover, until: i64) -> Vec<(i64, i64)> {
        let rolled = cover.rollups.iter().map(|(length, from, to)| {
            assert_eq!((from.rem_euclid(length.micros()), to.rem_euclid(length.micros())), (0, 0), "{cover:?}");
            assert!(*length == Bucket::Minute || *to <= until, "not built yet: {cover:?}");
            (*from, *to.min(&until))
        });
        let mut all: Vec<_> = rolled.chain(cover.raw.iter().copied()).filter(|(from, to)| from < to).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn every_moment_of_a_span_is_answered_for_once() {
        let points = [
            0,
            1,
            MINUTE - 1,
            MINUTE,
            MINUTE + STEP,
            HOUR - 1,
            HOUR,
            HOUR + 7,
            23 * HOUR + 59 * MINUTE,
            DAY - 1,
            DAY,
            DAY + STEP,
            DAY + 3 * HOUR + MINUTE + STEP,
            3 * DAY,
            3 * DAY + 5 * HOUR + 5 * MINUTE + 5,
        ];
        for until in points.map(|at| floor(at, STEP)) {
            for start in points {
                for end in points.into_iter().filter(|end| *end > start) {
                    for coarsest in Bucket::VARIANTS {
                        let cover = cover(start, end, until, *coarsest);
                        let answered = answered(&cover, until);
                        let what = format!("{start}..{end} until {until}: {cover:?}");
                        assert!(answered.windows(2).all(|pair| pair[0].1 == pair[1].0), "{what}");
                        let (first, last) = (answered.first().unwrap().0, answered.last().unwrap().1);
                        assert_eq!((first, last), (start, end), "{what}");
                        let longest = cover.rollups.iter().map(|(length, ..)| length.micros()).max();
                        assert!(longest.unwrap_or(0) <= coarsest.micros(), "{what}");
                        // Where rollups answer, what is not in them comes from the open executions.
                        let rolled = cover.rollups.iter().fold((i64::MAX, i64::MIN), |(least, most), (_, from, to)| {
                            (least.min(*from), most.max(*to.min(&until)))
                        });
                        assert!(cover.rollups.is_empty() || cover.open_executions == rolled, "{what}");
                        assert!(
                            !cover.rollups.is_empty() || cover.open_executions.0 >= cover.open_executions.1,
                            "{what}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_long_span_is_mostly_days() {
        let cover = cover(MINUTE, i64::MAX, 3 * DAY + 2 * HOUR + MINUTE + STEP, Bucket::Day);
        let expected = [
            (Bucket::Minute, MINUTE, HOUR),
            (Bucket::Hour, HOUR, DAY),
            (Bucket::Day, DAY, 3 * DAY),
            (Bucket::Hour, 3 * DAY, 3 * DAY + 2 * HOUR),
            (Bucket::Minute, 3 * DAY + 2 * HOUR, 3 * DAY + 2 * HOUR + 2 * MINUTE),
        ];
        assert_eq!(cover.rollups, expected);
        assert_eq!(cover.raw, [(3 * DAY + 2 * HOUR + MINUTE + STEP, i64::MAX - DAY)]);
    }

    #[test]
    fn nothing_covers_nothing() {
        for (start, end) in [(5, 5), (DAY, HOUR), (i64::MAX, i64::MIN)] {
            assert_eq!(cover(start, end, 2 * DAY, Bucket::Day), Cover::default());
        }
    }

    #[test]
    fn moving_takes_what_is_old_or_a_crowd() {
        for (until, closed, lazy, next, expected) in [
            (0, 10 * STEP + 1, 4 * STEP + 1, None, 4 * STEP),
            (5 * STEP, 10 * STEP, 4 * STEP, None, 5 * STEP),
            (0, 3 * STEP, 4 * STEP, None, 3 * STEP),
            (0, 10 * STEP, 0, Some(6 * STEP + 3), 6 * STEP),
            (0, 10 * STEP, 0, Some(3), STEP),
            (0, 10 * STEP, 0, Some(99 * STEP), 10 * STEP),
            (20 * STEP, 10 * STEP, 0, Some(99 * STEP), 20 * STEP),
        ] {
            assert_eq!(advance(STEP, until, closed, lazy, next), expected);
        }
        for (until, closed, lazy, next, expected) in [(0, 9, 7, None, 7), (4, 9, 7, Some(6), 6), (4, 9, 7, Some(4), 5)]
        {
            assert_eq!(advance(1, until, closed, lazy, next), expected);
        }
    }

    #[test]
    fn hours_and_days_are_built_when_they_are_over() {
        assert!(is_built(Bucket::Minute, 5, 0));
        assert!(!is_built(Bucket::Hour, 5, HOUR - 1) && is_built(Bucket::Hour, 5, HOUR));
        assert!(!is_built(Bucket::Day, DAY + 5, 2 * DAY - 1) && is_built(Bucket::Day, DAY + 5, 2 * DAY));
    }

    #[test]
    fn histograms_come_back_and_add_up() {
        let mut histogram = Histogram::default();
        add_latencies(&mut histogram, &[0, 0, 0, 5, 0, 0, 1, 0]);
        histogram.add_step(1_663, 5_000_000_000);
        let bytes = to_bytes(&histogram);
        let mut back = Histogram::default();
        add_steps(&mut back, &bytes);
        assert_eq!(back, histogram);
        add_steps(&mut back, &bytes);
        assert_eq!(back.count(), 2 * histogram.count());
        let mut many = Histogram::default();
        add_steps(&mut many, &bytes.repeat(STEPS));
        for (step, count) in histogram.steps() {
            assert!(many.steps().any(|found| found == (step, 1_664 * count)), "{step}");
        }
        assert_eq!(many.steps().count(), histogram.steps().count());
    }
}
