//! Reads sums over executions from rows, by the place of the columns. Costs are stored in two halves, because a sum of
//! 64-bit costs may exceed 64 bits.

use prompt_ledger_domain::usage::Tally;
use prompt_ledger_domain::{Error, Result};
use rusqlite::Row;

use super::row::at;

/// The columns of a rollup that [`rollup`] reads, and the histogram of latencies.
macro_rules! sums {
    () => {
        "executions, prompt_tokens, response_tokens, with_cost, cost_high, cost_low, latency_sum, latencies"
    };
}
pub(super) use sums;

/// Of one execution: prompt tokens, response tokens, cost and latency from column `first` on. Returns the latency beside
/// the sums, which do not have it in their histogram.
pub(super) fn single(row: &Row<'_>, first: usize) -> Result<(Tally, Option<i32>)> {
    let cost: Option<i64> = at(row, first + 2)?;
    let latency: Option<i32> = at(row, first + 3)?;
    let tally = Tally {
        executions: 1,
        prompt_tokens: at::<Option<i64>>(row, first)?.unwrap_or_default(),
        response_tokens: at::<Option<i64>>(row, first + 1)?.unwrap_or_default(),
        with_cost: i64::from(cost.is_some()),
        cost: cost.unwrap_or_default().into(),
        latency_sum: latency.unwrap_or_default().into(),
        ..Tally::default()
    };
    Ok((tally, latency))
}

/// Of a rollup, [`sums!`] from column `first` on. Returns the encoded histogram beside the sums.
pub(super) fn rollup<'r>(row: &'r Row<'_>, first: usize) -> Result<(Tally, &'r [u8])> {
    let tally = Tally {
        executions: at(row, first)?,
        prompt_tokens: at(row, first + 1)?,
        response_tokens: at(row, first + 2)?,
        with_cost: at(row, first + 3)?,
        cost: whole(at(row, first + 4)?, at(row, first + 5)?),
        latency_sum: at(row, first + 6)?,
        ..Tally::default()
    };
    let latencies = row.get_ref(first + 7).map_err(super::error::store)?.as_blob().map_err(Error::internal)?;
    Ok((tally, latencies))
}

fn whole(high: i64, low: i64) -> i128 {
    (i128::from(high) << 32) + i128::from(low)
}

/// The halves of a cost, high and low. INTERNAL for one of more than 95 bits, which no sum reaches.
pub(super) fn halves(cost: i128) -> Result<(i64, i64)> {
    let high = i64::try_from(cost >> 32).map_err(Error::internal)?;
    let low = i64::try_from(cost & 0xffff_ffff).map_err(Error::internal)?;
    Ok((high, low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_come_back_from_their_halves() {
        for cost in
            [0, 1, -1, i128::from(i64::MAX) * 1_000_000, i128::from(i64::MIN) * 1_000_000, 1 << 32, (1 << 32) - 1]
        {
            let (high, low) = halves(cost).unwrap();
            assert_eq!(whole(high, low), cost);
        }
        assert!(halves(i128::MAX).is_err());
    }
}
