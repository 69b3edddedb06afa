//! The role of a server in its deployment.

use prompt_ledger_store::ProcessKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The only process on its store: it also executes what is queued, and accepts the development key on loopback.
    Embedded,
    /// One of several processes on its store; workers execute what is queued.
    Production,
}

/// The effect of SIGHUP on a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hangup {
    /// Reloads the TLS certificate.
    Reloads,
    /// Ends the server: its terminal was closed.
    Ends,
}

impl Role {
    /// As the process is recorded in the store.
    pub(super) fn process_kind(self) -> ProcessKind {
        match self {
            Self::Embedded => ProcessKind::Dev,
            Self::Production => ProcessKind::Server,
        }
    }

    /// To be called before the process listens for signals. In production a supervisor sends SIGHUP to reload. A
    /// server that was started in a terminal ends with it, unless it was started with SIGHUP ignored, as by `nohup`.
    pub(super) fn hangup(self) -> Hangup {
        match self {
            Self::Embedded if !ignores_hangup() => Hangup::Ends,
            Self::Embedded | Self::Production => Hangup::Reloads,
        }
    }
}

/// Whether this process was started with SIGHUP ignored; false where there is no /proc.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|signals| u64::from_str_radix(signals.trim(), 16).ok()).unwrap_or_default();
    // SIGHUP is signal 1, the lowest bit.
    ignored & 1 == 1
}
