//! What a server is in its deployment.

/// What a server is in its deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The only process on its store: it runs what is queued, and takes the development key on loopback.
    Embedded,
    /// One of many servers on a store that other processes write to; workers run what is queued.
    Production,
}

/// What SIGHUP asks of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hangup {
    /// To read its certificate again.
    Reloads,
    /// To end: its terminal was closed.
    Ends,
}

impl Role {
    /// To be asked before the process listens for signals. In production a supervisor sends SIGHUP. What was started in a terminal ends with it, unless that was asked not to
    /// hear of it, as `nohup` does.
    pub(super) fn hangup(self) -> Hangup {
        match self {
            Self::Embedded if !ignores_hangup() => Hangup::Ends,
            Self::Embedded | Self::Production => Hangup::Reloads,
        }
    }
}

/// Whether this process was started with SIGHUP ignored.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|signals| u64::from_str_radix(signals.trim(), 16).ok()).unwrap_or_default();
    // SIGHUP is the first signal.
    ignored & 1 == 1
}
