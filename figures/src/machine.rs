//! The load of other processes on this machine, and what a pause costs what runs after it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::load::Times;

const WATCHED: Duration = Duration::from_secs(2);

/// Cores used while the measurement itself is idle: the load of other processes.
pub(super) async fn cores_taken() -> std::io::Result<f64> {
    let (before, began) = (worked_seconds(&stat()?), Instant::now());
    tokio::time::sleep(WATCHED).await;
    Ok((worked_seconds(&stat()?) - before) / began.elapsed().as_secs_f64())
}

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A thread that waits for a model finds its caches cold, and perhaps its core asleep: the time to read 4,096 cache lines, each
/// of which names the next, after a pause. They are 256 KiB, about what an execution touches.
pub(super) fn reading_after(pause: Duration, times: usize) -> std::io::Result<Times> {
    const LINES: usize = 4_096;
    /// With these every line is visited, in an order that no prefetcher follows.
    const FACTOR: usize = 1_229;
    const STEP: usize = 331;
    let lines: Vec<[usize; 8]> = (0..LINES).map(|line| [(line * FACTOR + STEP) % LINES; 8]).collect();
    let read = || {
        let last = (0..LINES).try_fold(0, |line, _| lines.get(line).and_then(|line| line.first()).copied());
        black_box(last)
    };
    let mut taken = Times::new()?;
    read();
    for _ in 0..times {
        std::thread::sleep(pause);
        let began = Instant::now();
        read();
        taken.record(began.elapsed());
    }
    Ok(taken)
}

fn stat() -> std::io::Result<String> {
    std::fs::read_to_string("/proc/stat")
}

/// Sum over all cores since boot of everything but idle and iowait.
fn worked_seconds(stat: &str) -> f64 {
    /// Fixed at 100 on Linux.
    const TICKS: f64 = 100.0;
    /// Indexes of idle and iowait in user, nice, system, idle, iowait, irq, softirq, steal. The columns after these are
    /// included in the earlier ones.
    const IDLE: [usize; 2] = [3, 4];
    const COLUMNS: usize = 8;
    let all = stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let columns = all.split_whitespace().take(COLUMNS).enumerate().filter(|(at, _)| !IDLE.contains(at));
    columns.filter_map(|(_, ticks)| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idling_and_waiting_are_no_work() {
        let stat = "cpu  100 200 300 9000 9000 10 20 30 500 500\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert!((worked_seconds(stat) - 6.6).abs() < 1e-9);
        assert!(worked_seconds("").abs() < 1e-9);
    }
}
