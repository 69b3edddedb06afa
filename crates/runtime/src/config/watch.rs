//! Settings of watching streams.

use std::time::Duration;

use super::env::Env;
use super::settings::{MAX_WATCHERS, MAX_WATCHERS_PER_KEY, STREAM_HEARTBEAT, STREAM_MAX_AGE, STREAM_STALL_LIMIT};

#[derive(Clone, Debug)]
pub struct WatchConfig {
    /// Most streams of one API key.
    pub per_key: usize,
    /// Most streams of this server.
    pub per_server: usize,
    /// Longest life of a stream, varied by a tenth.
    pub max_age: Duration,
    /// A stream sends something about this often.
    pub heartbeat: Duration,
    /// How long a stream may stay unread.
    pub stall_limit: Duration,
}

impl WatchConfig {
    pub(super) fn read(env: &mut Env<'_>) -> Self {
        Self {
            per_key: env.number(&MAX_WATCHERS_PER_KEY),
            per_server: env.number(&MAX_WATCHERS),
            max_age: env.duration(&STREAM_MAX_AGE),
            heartbeat: env.duration(&STREAM_HEARTBEAT),
            stall_limit: env.duration(&STREAM_STALL_LIMIT),
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

    #[test]
    fn heartbeats_come_before_a_client_gives_its_stream_up() {
        for (heartbeat, is_good) in [("30s", true), ("31s", false), ("1m", false)] {
            let lookup = |name: &str| (name == "STREAM_HEARTBEAT").then(|| heartbeat.to_owned());
            let mut env = Env::new(&lookup);
            WatchConfig::read(&mut env);
            assert_eq!(env.finish(()).is_ok(), is_good, "{heartbeat}");
        }
    }
}
