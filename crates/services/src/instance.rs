//! A private service: a process with its children, a folder, a port.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{signals, unique};

/// Bounds the wait until the service is ready, or has done as it was told.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Instance {
    pub(super) folder: TempDir,
    pub(super) port: u16,
    child: Option<Child>,
}

impl Instance {
    /// A folder that other users may enter, and a free port.
    pub(super) fn new() -> Self {
        let folder = TempDir::with_prefix("prompt-ledger-").unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, port: free_port(), child: None }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts its process, and waits until it is ready.
    pub(super) async fn start(&mut self, command: &mut Command, ready: impl AsyncFn(u16) -> bool) {
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).current_dir(self.folder.path());
        self.child = Some(command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}")));
        let began = Instant::now();
        while !ready(self.port).await {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(
                ended.is_none() && began.elapsed() < TIMEOUT,
                "{command:?} is not ready ({ended:?}): {}",
                self.log()
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Stops the process and all of its children; none of them runs when this returns.
    pub(super) fn pause(&self) {
        if let Some(child) = &self.child {
            signals::pause(child.id());
        }
    }

    /// Lets the process and all of its children go on.
    pub(super) fn resume(&self) {
        if let Some(child) = &self.child {
            signals::resume(child.id());
        }
    }

    /// Sends a signal to the process alone.
    pub(super) fn signal(&self, name: &str) {
        if let Some(child) = &self.child {
            signals::send(name, &[child.id()]);
        }
    }

    /// Sends a signal to the process alone, and waits for its end.
    pub(super) fn end(&mut self, name: &str) {
        self.signal(name);
        let Some(mut child) = self.child.take() else { return };
        let began = Instant::now();
        while matches!(child.try_wait(), Ok(None)) && began.elapsed() < TIMEOUT {
            std::thread::sleep(POLL_INTERVAL);
        }
        self.child = Some(child);
        self.kill();
    }

    /// Sends SIGKILL to the process and all of its children.
    pub(super) fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let family = signals::kill(child.id());
        let _ = child.wait();
        // Its children keep shared resources until they have ended too.
        signals::wait_until_ended(&family);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody listens on, below the ephemeral range: no other process is given it while the service is down. In
/// this process each is given once.
///
/// # Panics
/// Never, unless a test panicked in here.
#[must_use]
pub fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const COUNT: u64 = 20_000;
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = FIRST + u16::try_from(unique() % COUNT).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && GIVEN.lock().unwrap().insert(port) {
            return port;
        }
    }
}

/// A command run as this user where we are root.
pub(super) fn as_user(user: &str, program: &Path) -> Command {
    if std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) != 0) {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", user, "--init-groups"]).arg(program);
    command
}
