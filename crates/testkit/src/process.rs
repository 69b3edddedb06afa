//! A process under test: started from its built binary, heard, signalled, and ended with the test.

use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a process may take to say what is waited for.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running process. Dropping it ends it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: Output,
    /// Read what it says, to the end of both of its streams.
    readers: Vec<JoinHandle<()>>,
}

/// What a process has said so far, line by line.
#[derive(Clone, Debug)]
struct Output(Arc<Mutex<Vec<String>>>, watch::Sender<usize>);

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// From the signal to the end.
    pub took: Duration,
    /// Everything that it said, standard output and log.
    pub output: Vec<String>,
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
    /// Starts a command, and waits until a line that it says is taken by `ready`.
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
                    // The last words may still be on their way.
                    tokio::time::timeout(Duration::from_millis(200), said.changed()).await.ok();
                    panic!("the process did not start ({status:?}): {:#?}", output.lines());
                }
            }
            assert!(began.elapsed() < START_TIMEOUT, "the process said nothing of the kind: {:#?}", output.lines());
        };
        (Self { child, output, readers }, found)
    }

    /// Its id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// What it has said so far.
    #[must_use]
    pub fn output(&self) -> Vec<String> {
        self.output.lines()
    }

    /// Sends a signal by name: `TERM`, `INT`, `STOP`, `CONT`, `KILL`.
    pub fn signal(&self, name: &str) {
        let Some(pid) = self.child.id() else { return };
        let script = format!("kill -{name} {pid}");
        let _ = Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).status();
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> Ended {
        let began = Instant::now();
        let status = self.child.wait().await.unwrap();
        let took = began.elapsed();
        // Its last words may still lie in the pipes. A process that it started may keep them open.
        let read = futures::future::join_all(std::mem::take(&mut self.readers));
        let _ = tokio::time::timeout(Duration::from_secs(5), read).await;
        Ended { status, took, output: self.output.lines() }
    }

    /// Asks it to end, as an operator does, and waits.
    pub async fn terminate(self) -> Ended {
        self.signal("TERM");
        self.ended().await
    }

    /// Ends it as a power cut does.
    pub async fn kill(self) -> Ended {
        self.signal("KILL");
        self.ended().await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // One that is paused would not hear the other.
            self.signal("CONT");
            self.signal("TERM");
            let began = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && began.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = self.child.start_kill();
        }
    }
}
