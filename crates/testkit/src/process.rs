//! A process under test: started from its built binary, read, signalled, and ended with the test.

use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use prompt_ledger_services::signals;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::complaints::Expected;

/// Bounds the wait for the expected line.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Longer than a drain with the default SHUTDOWN_GRACE.
const END_TIMEOUT: Duration = Duration::from_secs(90);
/// How long a process that is dropped has before it is killed.
const DROP_TIMEOUT: Duration = Duration::from_secs(20);
/// Between two looks whether a process that is dropped has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Lines of the output that a failed test prints.
const LAST_LINES: usize = 50;

/// A running process. Dropping it ends it, and fails the test where it has complained of what the test does not list.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: Output,
    /// Tasks that read standard output and standard error.
    readers: Vec<JoinHandle<()>>,
    /// What it may complain of.
    expected: Expected,
}

/// The output so far, by lines, and their count for waiting.
#[derive(Clone, Debug)]
struct Output(Arc<Mutex<Vec<String>>>, watch::Sender<usize>);

#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// From the signal to the exit.
    pub took: Duration,
    /// Standard output and standard error, by lines.
    pub output: Vec<String>,
}

/// The server's binary, for tests of packages other than the server's own.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn built_binary() -> PathBuf {
    // Test binaries are in the folder `deps` beside it.
    let tests = std::env::current_exe().unwrap();
    let binary = tests.ancestors().nth(2).unwrap().join("prompt-ledger");
    assert!(binary.exists(), "{} is missing: cargo build --workspace", binary.display());
    binary
}

impl Output {
    async fn collect(self, from: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            self.0.lock().unwrap().push(line);
            self.1.send_modify(|count| *count += 1);
        }
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Process {
    /// Starts a command, and waits until `ready` accepts a line of its output.
    ///
    /// # Panics
    /// When it ends before, or says nothing of the kind; the message has what it said.
    pub async fn start<T>(mut command: Command, ready: impl Fn(&str) -> Option<T>) -> (Self, T) {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = tokio::process::Command::from(command).spawn().unwrap();
        let (count, mut said) = watch::channel(0);
        let output = Output(Arc::default(), count);
        let readers = vec![
            tokio::spawn(output.clone().collect(child.stderr.take().unwrap())),
            tokio::spawn(output.clone().collect(child.stdout.take().unwrap())),
        ];
        let find = || output.lines().iter().find_map(|line| ready(line));
        let began = Instant::now();
        let found = loop {
            said.borrow_and_update();
            if let Some(found) = find() {
                break found;
            }
            tokio::select! {
                _ = tokio::time::timeout(START_TIMEOUT, said.changed()) => {}
                status = child.wait() => {
                    // The last lines may not have been read yet.
                    tokio::time::timeout(Duration::from_millis(200), said.changed()).await.ok();
                    panic!("the process did not start ({status:?}): {:#?}", output.lines());
                }
            }
            assert!(began.elapsed() < START_TIMEOUT, "the process said nothing of the kind: {:#?}", output.lines());
        };
        (Self { child, output, readers, expected: Expected::default() }, found)
    }

    /// Lists what it may complain of: a warning or an error of its log that has none of these parts fails the test.
    #[must_use]
    pub fn expecting(mut self, parts: &[&str]) -> Self {
        parts.iter().for_each(|part| self.expected.add(part));
        self
    }

    pub(crate) fn with_expected(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Its output so far, by lines.
    #[must_use]
    pub fn output(&self) -> Vec<String> {
        self.output.lines()
    }

    /// Waits until its output has a line that `wanted` accepts.
    ///
    /// # Panics
    /// When it says nothing of the kind; the message has what it said.
    pub async fn says(&self, wanted: impl Fn(&str) -> bool) {
        let mut said = self.output.1.subscribe();
        let found = said.wait_for(|_| self.output.lines().iter().any(|line| wanted(line)));
        let found = tokio::time::timeout(START_TIMEOUT, found).await.is_ok();
        assert!(found, "the process said nothing of the kind: {:#?}", self.output.lines());
    }

    /// Sends a signal by name: `TERM`, `INT`, `STOP`, `CONT`, `KILL`. `STOP` and `CONT` are for its descendants too; after
    /// `STOP` none of their threads runs.
    pub fn signal(&self, name: &str) {
        let Some(pid) = self.child.id() else { return };
        match name {
            "STOP" => signals::pause(pid),
            "CONT" => signals::resume(pid),
            _ => signals::send(name, &[pid]),
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end; the message has what it said.
    pub async fn ended(mut self) -> Ended {
        let began = Instant::now();
        let status = tokio::time::timeout(END_TIMEOUT, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("the process did not end: {:#?}", self.output.lines())).unwrap();
        let took = began.elapsed();
        // The last lines may still be in the pipes. A child process may keep them open, so the wait has a bound.
        let read = futures::future::join_all(std::mem::take(&mut self.readers));
        let _ = tokio::time::timeout(Duration::from_secs(5), read).await;
        Ended { status, took, output: self.output.lines() }
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn terminate(self) -> Ended {
        self.signal("TERM");
        self.ended().await
    }

    /// Sends SIGKILL and waits for the end.
    pub async fn kill(self) -> Ended {
        self.signal("KILL");
        self.ended().await
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "where the test harness shows what a failed test printed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self.output.lines();
            let last = lines.len().saturating_sub(LAST_LINES);
            eprintln!("the process ended with {:?}; it last said: {:#?}", self.child.try_wait(), &lines[last..]);
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            // A stopped process would not handle SIGTERM.
            self.signal("CONT");
            self.signal("TERM");
            let began = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && began.elapsed() < DROP_TIMEOUT {
                std::thread::sleep(LOOK_EVERY);
            }
            let _ = self.child.start_kill();
            // What follows may use its files and its port.
            while matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(LOOK_EVERY);
            }
        }
        if !std::thread::panicking() {
            let lines = self.output.lines();
            let unlisted = self.expected.unlisted(&lines);
            assert!(unlisted.is_empty(), "the test lists no such warnings and errors (`expects`): {unlisted:#?}");
        }
    }
}
