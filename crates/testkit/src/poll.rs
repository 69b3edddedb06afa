//! A bounded poll, for what sends no event: a table, another process, a service that is down.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Time between two questions.
const INTERVAL: Duration = Duration::from_millis(10);

/// Asks until the answer is `Ok`, and returns it.
///
/// # Panics
/// When there is none within `limit`; the message names `what` and shows the last `Err`.
pub async fn eventually<T, E: Debug>(what: &str, limit: Duration, mut ask: impl AsyncFnMut() -> Result<T, E>) -> T {
    let (began, mut ticks) = (Instant::now(), tokio::time::interval(INTERVAL));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match ask().await {
            Ok(answer) => return answer,
            Err(last) => assert!(began.elapsed() < limit, "waited {limit:?} for {what}: {last:#?}"),
        }
    }
}
