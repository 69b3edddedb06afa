//! Retries: after which failures, how many, and after which delay.

use std::time::Duration;

use crate::execution::ErrorType;
use crate::limits;

/// The delays between attempts: 5 s, 30 s and 120 s by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The delay before retry 1, 2, ...; their number is the number of retries possible.
    pub delays: Vec<Duration>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { delays: [5, 30, 120].map(Duration::from_secs).to_vec() }
    }
}

impl Policy {
    /// Maximum `max_retries` of a request: the number of delays.
    #[must_use]
    pub fn most(&self) -> i32 {
        i32::try_from(self.delays.len()).unwrap_or(i32::MAX)
    }

    /// The delay after attempt `attempt` (from 1) failed with `error`; `None` where no retry follows.
    ///
    /// A provider's `retry_after` lengthens the policy's delay, up to 5 minutes, and never shortens it. `jitter` in
    /// `[0, 1)` spreads the policy's delay by 20 % both ways, a provider's only upwards.
    #[must_use]
    pub fn delay(
        &self,
        attempt: i32,
        max_retries: i32,
        error: ErrorType,
        retry_after: Option<Duration>,
        jitter: f64,
    ) -> Option<Duration> {
        if !error.is_retryable() || attempt > max_retries {
            return None;
        }
        let own = self.delays.get(usize::try_from(attempt - 1).ok()?)?.mul_f64(0.8 + 0.4 * jitter);
        let wish = retry_after.unwrap_or_default().min(limits::RETRY_AFTER_MAX).mul_f64(1.0 + 0.2 * jitter);
        Some(own.max(wish.min(limits::RETRY_AFTER_MAX)))
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray as _;

    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn delays_grow_with_the_attempt_and_end() {
        let policy = Policy::default();
        assert_eq!(policy.most(), 3);
        let delay = |attempt, max| policy.delay(attempt, max, ErrorType::Timeout, None, 0.5);
        assert_eq!([delay(1, 3), delay(2, 3), delay(3, 3), delay(4, 9)], [Some(S(5)), Some(S(30)), Some(S(120)), None]);
        assert_eq!([delay(1, 0), delay(2, 1), delay(0, 3)], [None, None, None]);
    }

    #[test]
    fn jitter_spreads_by_a_fifth() {
        let delay = |jitter| Policy::default().delay(1, 3, ErrorType::Connection, None, jitter);
        assert_eq!([delay(0.0), delay(1.0)], [Some(S(4)), Some(S(6))]);
    }

    #[test]
    fn the_providers_wish_lengthens_the_delay_up_to_five_minutes_and_never_shortens_it() {
        let delay =
            |attempt, wish, jitter| Policy::default().delay(attempt, 3, ErrorType::RateLimited, Some(S(wish)), jitter);
        assert_eq!([delay(1, 0, 0.5), delay(1, 1, 0.0), delay(1, 10, 1.0)], [Some(S(5)), Some(S(4)), Some(S(12))]);
        assert_eq!([delay(2, 10, 0.5), delay(2, 60, 0.0)], [Some(S(30)), Some(S(60))]);
        assert_eq!([delay(1, 300, 1.0), delay(1, 9_000, 0.0)], [Some(S(300)), Some(S(300))]);
        let patient = Policy { delays: vec![S(600)] };
        assert_eq!(patient.delay(1, 1, ErrorType::RateLimited, Some(S(9_000)), 0.5), Some(S(600)));
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let retried: Vec<_> = ErrorType::VARIANTS
            .iter()
            .filter(|error| Policy::default().delay(1, 3, **error, None, 0.0).is_some())
            .map(<&str>::from)
            .collect();
        assert_eq!(retried, ["timeout", "connection", "rate_limited", "provider_error"]);
    }
}
