//! Signals that ask a process to end, for commands that leave something behind.

use std::io;

/// A signal that asks to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopSignal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGHUP: the terminal is closed.
    HangUp,
    /// SIGTERM.
    Terminate,
}

impl StopSignal {
    /// That of a process that the signal ends.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::HangUp => 129,
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }

    pub(crate) fn told(self) -> &'static str {
        match self {
            Self::HangUp => "the terminal was closed (SIGHUP)",
            Self::Interrupt => "interrupted",
            Self::Terminate => "ended by SIGTERM",
        }
    }
}

/// Signals that are waited for instead of ending the process, until it ends.
#[derive(Debug, Default)]
pub(crate) struct StopSignals {
    #[cfg(unix)]
    listened: Vec<(StopSignal, tokio::signal::unix::Signal)>,
    #[cfg(not(unix))]
    by_ctrl_c: bool,
}

#[cfg(unix)]
impl StopSignals {
    /// From now on. A signal that the process was started to ignore, as by `nohup`, stays ignored. Must be called within a tokio runtime.
    pub(crate) fn listen(signals: &[StopSignal]) -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut listened = Vec::new();
        for &stop in signals {
            let kind = match stop {
                StopSignal::HangUp => SignalKind::hangup(),
                StopSignal::Interrupt => SignalKind::interrupt(),
                StopSignal::Terminate => SignalKind::terminate(),
            };
            if !is_ignored(stop, kind.as_raw_value()) {
                listened.push((stop, signal(kind)?));
            }
        }
        Ok(Self { listened })
    }

    /// The next of them.
    pub(crate) async fn next(&mut self) -> StopSignal {
        std::future::poll_fn(|context| {
            let mut listened = self.listened.iter_mut();
            let came = listened.find_map(|(stop, signal)| signal.poll_recv(context).is_ready().then_some(*stop));
            came.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
        })
        .await
    }
}

/// Whether the process ignores a signal.
#[cfg(target_os = "linux")]
fn is_ignored(_: StopSignal, number: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (number - 1)) != 0
}

/// Whether the process ignores a signal. Of SIGHUP it is not known: `nohup` takes standard error from the terminal.
#[cfg(all(unix, not(target_os = "linux")))]
fn is_ignored(stop: StopSignal, _: i32) -> bool {
    stop == StopSignal::HangUp && !io::IsTerminal::is_terminal(&io::stderr())
}

#[cfg(not(unix))]
impl StopSignals {
    /// From now on. There is Ctrl-C alone.
    pub(crate) fn listen(signals: &[StopSignal]) -> io::Result<Self> {
        Ok(Self { by_ctrl_c: signals.contains(&StopSignal::Interrupt) })
    }

    /// The next of them.
    pub(crate) async fn next(&mut self) -> StopSignal {
        if self.by_ctrl_c && tokio::signal::ctrl_c().await.is_ok() {
            return StopSignal::Interrupt;
        }
        std::future::pending().await
    }
}
