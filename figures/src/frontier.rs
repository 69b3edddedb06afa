//! The frontier: how many calls per second each set-up reaches with an added p99 under a limit.
//!
//! The method is a sweep over the number of callers of a closed loop, as load generators draw the curve of throughput
//! and latency: one round for each number, direct, `dev` and Postgres by turns. The figure for a limit is the highest rate
//! of all rounds whose p99, less the lowest p99 of the direct calls of the sweep, is under it: direct calls that fill the
//! cores, or that others on the machine disturb, take nothing off. Callers of a closed loop wait for slow answers instead
//! of sending on: the rates are reached ones, not offered ones.

use super::bench::{Bench, ROUND};
use super::release::FigureError;

/// Limits of the added p99, in milliseconds.
const LIMITS: [f64; 4] = [1.0, 5.0, 10.0, 50.0];
/// The model's milliseconds, and the numbers of callers.
const SWEEPS: [(u64, &[usize]); 2] = [(0, &[1, 2, 4, 8, 16, 32, 64, 128]), (20, &[1, 4, 8, 16, 32, 64, 96, 128, 192])];
pub(super) const MOST_CALLERS: usize = 192;

/// One set-up at one number of callers.
#[derive(Clone, Copy)]
struct Step {
    callers: usize,
    rate: f64,
    p99: f64,
}

pub(super) async fn run(bench: &Bench) -> Result<(), FigureError> {
    for (millis, sweep) in SWEEPS {
        bench.model_takes(millis);
        println!("frontier, model: {millis} ms");
        let (mut steps, mut model_p99) = ([Vec::new(), Vec::new()], f64::INFINITY);
        for &callers in sweep {
            let direct = bench.direct(callers, ROUND).await?;
            model_p99 = model_p99.min(direct.quantile(0.99));
            print!("  callers: {callers:3}; direct {:6.0} /s, p99 {:6.2} ms", direct.rate(), direct.quantile(0.99));
            for (setup, steps) in bench.setups.iter().zip(&mut steps) {
                let times = setup.executions(callers, ROUND).await?;
                let p99 = times.quantile(0.99);
                steps.push(Step { callers, rate: times.rate(), p99 });
                print!("; {} {:6.0} /s, p99 {p99:6.2} ms", setup.name, times.rate());
            }
            println!();
        }
        for (setup, steps) in bench.setups.iter().zip(&steps) {
            for limit in LIMITS {
                match best(steps, model_p99 + limit) {
                    Some(step) => println!(
                        "  {:<10} added p99 under {limit:2} ms: {:6.0} /s, callers: {}",
                        setup.name, step.rate, step.callers
                    ),
                    None => println!("  {:<10} added p99 under {limit:2} ms: not reached", setup.name),
                }
            }
        }
    }
    Ok(())
}

/// The highest rate whose p99 is within the limit.
fn best(steps: &[Step], limit: f64) -> Option<Step> {
    let within = steps.iter().filter(|step| step.p99 < limit);
    within.max_by(|a, b| a.rate.total_cmp(&b.rate)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_rate_within_the_limit_is_the_frontier() {
        let step = |callers, rate, p99| Step { callers, rate, p99 };
        let steps = [step(1, 500.0, 0.8), step(8, 2_000.0, 4.0), step(16, 1_900.0, 3.0), step(64, 3_000.0, 20.0)];
        assert!(best(&steps, 0.5).is_none());
        assert_eq!(best(&steps, 1.0).map(|step| step.callers), Some(1));
        assert_eq!(best(&steps, 5.0).map(|step| step.callers), Some(8));
        assert_eq!(best(&steps, 50.0).map(|step| step.callers), Some(64));
    }

    #[test]
    fn every_caller_has_a_connection() {
        assert!(SWEEPS.iter().flat_map(|(_, sweep)| *sweep).all(|callers| *callers <= MOST_CALLERS));
    }
}
