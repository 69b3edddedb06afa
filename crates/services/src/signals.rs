//! Signals to processes and their descendants.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Bounds the wait until processes have done as a signal says.
const TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Stops a process and its descendants, and returns once none of their threads runs. After SIGSTOP alone the threads of
/// a process run on until one of them is given a processor and takes the signal.
///
/// # Panics
/// When they do not stop.
pub fn pause(pid: u32) {
    let family = stop(pid);
    assert!(family.iter().all(|pid| is_stopped(*pid)), "the processes {family:?} do not stop");
}

/// Lets a process and its descendants go on.
pub fn resume(pid: u32) {
    send("CONT", &family(pid));
}

/// Sends SIGKILL to a process and its descendants, whose numbers it returns: they may still be ending. They are stopped
/// before it, so that none starts another one that is not listed.
pub(super) fn kill(pid: u32) -> Vec<u32> {
    let family = stop(pid);
    send("KILL", &family);
    family
}

/// Sends SIGSTOP to a process and its descendants until all that there are have stopped, for a bounded time.
fn stop(pid: u32) -> Vec<u32> {
    let began = Instant::now();
    let mut stopped = Vec::new();
    loop {
        let family = family(pid);
        if family == stopped || began.elapsed() > TIMEOUT {
            return family;
        }
        send("STOP", &family);
        while !family.iter().all(|pid| is_stopped(*pid)) && began.elapsed() < TIMEOUT {
            std::thread::sleep(POLL_INTERVAL);
        }
        stopped = family;
    }
}

/// Waits, for a bounded time, until none of these runs.
pub(super) fn wait_until_ended(pids: &[u32]) {
    let began = Instant::now();
    while pids.iter().any(|pid| !has_ended(*pid)) && began.elapsed() < TIMEOUT {
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Sends a signal by name to processes, of which some may have ended.
pub fn send(signal: &str, pids: &[u32]) {
    let pids = pids.iter().map(ToString::to_string);
    let _ = Command::new("kill").arg(format!("-{signal}")).args(pids).stderr(Stdio::null()).status();
}

/// Whether no thread of a process runs; so it is once it has ended.
fn is_stopped(pid: u32) -> bool {
    threads(pid).all(|thread| matches!(state(&thread), None | Some('T' | 't' | 'X' | 'Z')))
}

/// Whether a process has ended; a zombie has.
fn has_ended(pid: u32) -> bool {
    matches!(state(Path::new(&format!("/proc/{pid}"))), None | Some('X' | 'Z'))
}

/// The letter of a process or a thread in its `stat`; none once it is gone.
fn state(of: &Path) -> Option<char> {
    let stat = std::fs::read_to_string(of.join("stat")).ok()?;
    // The name before it may hold anything.
    stat.rsplit(')').next()?.trim_start().chars().next()
}

fn threads(pid: u32) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten().map(|thread| thread.path())
}

/// A process and its descendants. One may be missing where another one ends meanwhile.
fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        next += 1;
        for thread in threads(parent) {
            let children = std::fs::read_to_string(thread.join("children")).unwrap_or_default();
            family.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
    }
    family
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::process::Child;
    use std::thread::available_parallelism;

    use super::*;

    /// A shell with busy children. Dropping it ends them.
    struct Busy(Child);

    impl Drop for Busy {
        fn drop(&mut self) {
            // The number of one that was waited for may be another's.
            if matches!(self.0.try_wait(), Ok(None)) {
                kill(self.0.id());
                self.0.wait().unwrap();
            }
        }
    }

    #[test]
    fn nothing_of_a_family_runs_once_it_is_paused_and_all_of_it_ends() {
        // More of them than there are processors, so that some wait for one when the signal comes.
        let children = 4 * available_parallelism().unwrap().get();
        let script = format!("for i in $(seq {children}); do while :; do :; done & done; wait");
        for _ in 0..5 {
            let mut busy = Busy(Command::new("sh").args(["-c", &script]).spawn().unwrap());
            let pid = busy.0.id();
            let began = Instant::now();
            while family(pid).len() <= children {
                assert!(began.elapsed() < TIMEOUT, "the shell has too few children");
                std::thread::sleep(POLL_INTERVAL);
            }
            pause(pid);
            let running: Vec<_> = family(pid).into_iter().filter(|pid| !is_stopped(*pid)).collect();
            assert!(running.is_empty(), "{running:?} run");
            resume(pid);
            let killed = kill(pid);
            busy.0.wait().unwrap();
            wait_until_ended(&killed);
            assert!(killed.len() > children && killed.iter().all(|pid| has_ended(*pid)), "{killed:?}");
        }
    }
}
