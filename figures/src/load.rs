//! Closed and open loops of calls, and their latencies.

use std::error::Error;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;

/// Latencies above a minute are recorded as a minute.
const LONGEST_MICROS: u64 = 60_000_000;

/// Latencies of calls.
pub(super) struct Times {
    micros: Histogram<u64>,
    /// Wall-clock time of the loop, not the sum of the calls.
    pub(super) elapsed: Duration,
}

impl Times {
    pub(super) fn new() -> std::io::Result<Self> {
        let micros = Histogram::new_with_bounds(1, LONGEST_MICROS, 3).map_err(std::io::Error::other)?;
        Ok(Self { micros, elapsed: Duration::ZERO })
    }

    pub(super) fn record(&mut self, taken: Duration) {
        self.micros.saturating_record(u64::try_from(taken.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn add(&mut self, others: Self) -> std::io::Result<()> {
        self.micros.add(others.micros).map_err(std::io::Error::other)
    }

    /// In milliseconds.
    pub(super) fn quantile(&self, quantile: f64) -> f64 {
        Duration::from_micros(self.micros.value_at_quantile(quantile)).as_secs_f64() * 1_000.0
    }

    pub(super) fn calls(&self) -> f64 {
        f64::from(u32::try_from(self.micros.len()).unwrap_or(u32::MAX))
    }

    /// Calls per second.
    pub(super) fn rate(&self) -> f64 {
        self.calls() / self.elapsed.as_secs_f64()
    }
}

/// `callers` that each call again as soon as they were answered, for this long. Caller i calls `call(i)`.
pub(super) async fn closed_loop<F, E>(
    callers: usize,
    length: Duration,
    call: impl Fn(usize) -> F + Clone + Send + 'static,
) -> Result<Times, Box<dyn Error + Send + Sync>>
where
    F: Future<Output = Result<(), E>> + Send,
    E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
{
    let began = Instant::now();
    let end = began + length;
    let mut running = Vec::with_capacity(callers);
    for caller in 0..callers {
        let call = call.clone();
        running.push(tokio::spawn(async move {
            let mut times = Times::new().map_err(|error| Box::new(error) as Box<dyn Error + Send + Sync>)?;
            loop {
                let sent = Instant::now();
                if sent >= end {
                    return Ok::<_, Box<dyn Error + Send + Sync>>(times);
                }
                call(caller).await.map_err(Into::into)?;
                times.record(sent.elapsed());
            }
        }));
    }
    let mut all = Times::new()?;
    for caller in running {
        all.micros.add(caller.await??.micros)?;
    }
    all.elapsed = began.elapsed();
    Ok(all)
}

/// Starts calls at a fixed rate per second for this long, however long each takes. Call i is `call(i)`.
pub(super) async fn open_loop<F, E>(
    rate: u32,
    length: Duration,
    call: impl Fn(usize) -> F,
) -> Result<Times, Box<dyn Error + Send + Sync>>
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
{
    let began = Instant::now();
    let mut due = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut running = Vec::new();
    while began.elapsed() < length {
        due.tick().await;
        let called = call(running.len());
        running.push(tokio::spawn(async move {
            let sent = Instant::now();
            called.await.map(|()| sent.elapsed())
        }));
    }
    let mut times = Times::new()?;
    for call in running {
        times.record(call.await?.map_err(Into::into)?);
    }
    times.elapsed = began.elapsed();
    Ok(times)
}

pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median(vec![]).is_nan());
    }

    #[tokio::test(start_paused = true)]
    async fn a_steady_rate_waits_for_nobody() {
        let slow = |_| async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            Ok::<(), std::io::Error>(())
        };
        let times = open_loop(100, Duration::from_millis(100), slow).await.unwrap();
        // 33 where each waits for the one before.
        assert!(times.rate() > 60.0 && times.quantile(0.5) >= 30.0);
    }

    #[tokio::test(start_paused = true)]
    async fn every_caller_calls_until_the_end() {
        let call = |_| async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok::<(), std::io::Error>(())
        };
        let times = closed_loop(2, Duration::from_millis(20), call).await.unwrap();
        assert!(times.calls() >= 20.0 && times.rate() > 0.0 && times.quantile(0.5) < 1_000.0);
    }
}
