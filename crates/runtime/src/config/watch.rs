//! How watching streams are bounded.

use std::time::Duration;

use super::env::{Env, Setting};

pub(super) const SETTINGS: &[Setting] = &[
    Setting { name: "MAX_WATCHERS_PER_KEY", default: "1000", meaning: "watching streams of one API key at once" },
    Setting { name: "MAX_WATCHERS", default: "20000", meaning: "watching streams of this server at once" },
    Setting { name: "STREAM_MAX_AGE", default: "30m", meaning: "when a watching stream ends, to go on elsewhere" },
    Setting { name: "STREAM_HEARTBEAT", default: "15s", meaning: "how often a watching stream gives a sign of life" },
    Setting { name: "STREAM_STALL_LIMIT", default: "30s", meaning: "how long a watching stream may stay unread" },
];

/// How watching streams are bounded.
#[derive(Clone, Debug)]
pub struct WatchConfig {
    /// Streams of one key.
    pub per_key: usize,
    /// Streams of this server.
    pub per_server: usize,
    /// When a stream ends, spread by a tenth.
    pub max_age: Duration,
    /// How often a stream gives a sign of life, about.
    pub heartbeat: Duration,
    /// How long a stream may stay unread.
    pub stall_limit: Duration,
}

impl WatchConfig {
    pub(super) fn read(env: &mut Env<'_>) -> Self {
        let second = Duration::from_secs(1);
        Self {
            per_key: env.number("MAX_WATCHERS_PER_KEY", 1_000, 1, 1_000_000),
            per_server: env.number("MAX_WATCHERS", 20_000, 1, 1_000_000),
            max_age: env.duration("STREAM_MAX_AGE", 1_800 * second, second, 86_400 * second),
            heartbeat: env.duration("STREAM_HEARTBEAT", 15 * second, second / 10, 60 * second),
            stall_limit: env.duration("STREAM_STALL_LIMIT", 30 * second, second / 2, 3_600 * second),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read() {
        let lookup = |name: &str| (name == "STREAM_MAX_AGE").then(|| "5m".to_owned());
        let mut env = Env::new(&lookup);
        let config = WatchConfig::read(&mut env);
        env.finish(()).unwrap();
        assert_eq!((config.per_key, config.per_server), (1_000, 20_000));
        assert_eq!((config.max_age, config.stall_limit), (Duration::from_secs(300), Duration::from_secs(30)));
    }
}
