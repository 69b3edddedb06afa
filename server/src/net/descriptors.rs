//! File descriptors: each connection takes one, and the server needs others to work with.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors of a server beside its connections and those to its database: files, brokers, listeners.
const OTHERS: u64 = 64;

/// How many connections there are descriptors for, at most `wanted`. Raises the process's soft limit as far as needed
/// and allowed; logs a warning where that is too little.
#[must_use]
pub fn connections_that_fit(wanted: usize, database_connections: u32) -> usize {
    let others = OTHERS + u64::from(database_connections);
    let needed = needed(wanted as u64, others);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(mut limit) = current.filter(|limit| *limit < needed) else { return wanted };
    let raised = maximum.map_or(needed, |most| most.min(needed));
    if raised > limit && setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }).is_ok() {
        limit = raised;
    }
    let fits = usize::try_from(fits(limit, others)).unwrap_or(usize::MAX);
    if fits >= wanted {
        return wanted;
    }
    tracing::warn!(
        RLIMIT_NOFILE = limit,
        MAX_CONNECTIONS = wanted,
        "the process may open so few files that there is room for {fits} connections; allow it {needed} (`ulimit -n`, \
         LimitNOFILE of systemd), or set MAX_CONNECTIONS to {fits}"
    );
    fits
}

/// Descriptors that so many connections need: a quarter of the total is reserved for calls to model providers.
fn needed(connections: u64, others: u64) -> u64 {
    (connections + others).saturating_mul(4).div_ceil(3)
}

/// How many connections fit: at least half of the descriptors, and at least one.
fn fits(descriptors: u64, others: u64) -> u64 {
    let quarter = descriptors / 4;
    (descriptors - quarter - others.min(quarter)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_fits_and_one_less_does_not() {
        for wanted in [300, 1_000, 10_000, 1_000_000] {
            let needed = needed(wanted, 80);
            assert!(fits(needed, 80) >= wanted && fits(needed - 2, 80) < wanted, "{wanted}: {needed}");
        }
    }

    #[test]
    fn connections_never_take_more_than_their_share() {
        assert_eq!([0, 1, 4, 64, 256, 1_024].map(|limit| fits(limit, 80)), [1, 1, 2, 32, 128, 688]);
    }
}
