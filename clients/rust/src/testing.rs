//! A ledger for tests: `prompt-ledger dev` on free ports of this machine, with `echo` as its model, in a folder that is removed
//! with it.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let server = prompt_ledger_client::testing::dev_server()?;
//! let ledger = server.connect()?;
//! # Ok(())
//! # }
//! ```

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tempfile::TempDir;

use crate::client::Client;
use crate::options::{Options, OptionsError};

/// How long the server may take to start, and to end once it is told to.
const START: Duration = Duration::from_secs(60);
const END: Duration = Duration::from_secs(15);
/// The pause between two polls of whether it has ended.
const POLL: Duration = Duration::from_millis(5);
/// How many lines of its log are shown where it did not start.
const SHOWN_LINES: usize = 40;
/// Of this process's environment, what the server's system needs. Nothing of it configures a ledger.
const INHERITED: [&str; 8] =
    ["PATH", "HOME", "TMPDIR", "TEMP", "SYSTEMROOT", "LD_LIBRARY_PATH", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];

/// Starts a server as [`DevServerOptions::default`] says, and returns once it serves; it blocks the thread until then.
///
/// # Errors
///
/// Where there is no program `prompt-ledger`, or it does not start.
pub fn dev_server() -> Result<DevServer, DevServerError> {
    DevServer::start(DevServerOptions::default())
}

/// How a server is started.
#[derive(Clone, Debug, Default)]
pub struct DevServerOptions {
    /// The program. Absent: that of `PROMPT_LEDGER_BIN`, else of the `PATH`, else of the folder of `target` that this program was
    /// built in.
    pub binary: Option<PathBuf>,
    /// Settings of the server, such as `OPENAI_BASE_URL`; this process's own do not reach it.
    pub environment: Vec<(String, String)>,
    /// Further arguments of `prompt-ledger dev`.
    pub arguments: Vec<String>,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevServerError {
    /// The program was not found, for this reason.
    #[error("no prompt-ledger: {0}; install it, or name it by PROMPT_LEDGER_BIN")]
    NoBinary(String),
    /// The system refused a process or a folder.
    #[error("the server could not be started: {0}")]
    Io(#[from] io::Error),
    /// It ended, or said nothing in time; with the end of its log.
    #[error("the server did not start:\n{0}")]
    NotStarted(String),
}

/// A running server. Dropping it ends it and removes its folder; it also ends with this process.
pub struct DevServer {
    ready: DevServerAddresses,
    _process: DevProcess,
}

/// What the server says once it serves.
#[derive(Deserialize)]
struct DevServerAddresses {
    grpc: String,
    http: Option<String>,
    metrics: Option<String>,
    key: Option<String>,
}

/// The process, and the folder of its data and its log.
struct DevProcess {
    child: Child,
    folder: TempDir,
}

impl DevServer {
    /// Starts a server, and returns once it serves; it blocks the thread until then.
    ///
    /// # Errors
    ///
    /// Where there is no program `prompt-ledger`, or it does not start.
    pub fn start(options: DevServerOptions) -> Result<Self, DevServerError> {
        let DevServerOptions { binary, environment, arguments } = options;
        let named = binary.or_else(|| std::env::var_os("PROMPT_LEDGER_BIN").map(PathBuf::from));
        let binary = find(named, std::env::var_os("PATH"), std::env::current_exe().ok().as_deref())?;
        let folder = tempfile::Builder::new().prefix("prompt-ledger-").tempdir()?;
        let log = folder.path().join("log");
        let inherited = INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        let mut command = Command::new(binary);
        command.args(["dev", "--ready-json", "--exit-with-stdin", "--data-dir"]).arg(folder.path().join("data"));
        command.args(arguments).current_dir(folder.path());
        command.env_clear().envs(inherited).env("DEFAULT_MODEL", "echo/echo").envs(environment);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        let mut process = DevProcess { child: command.spawn()?, folder };
        let said = process.child.stdout.take().and_then(first_line).unwrap_or_default();
        match serde_json::from_str(&said) {
            Ok(ready) => Ok(Self { ready, _process: process }),
            Err(_) => Err(DevServerError::NotStarted(said + &process.end_of_log())),
        }
    }

    /// Where it serves gRPC: `http://HOST:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.ready.grpc
    }

    /// Where it serves HTTP; absent where that is off.
    #[must_use]
    pub fn http(&self) -> Option<&str> {
        self.ready.http.as_deref()
    }

    /// Where it shows its metrics; absent where that is off.
    #[must_use]
    pub fn metrics(&self) -> Option<&str> {
        self.ready.metrics.as_deref()
    }

    /// The key that it accepts.
    #[must_use]
    pub fn api_key(&self) -> &str {
        self.ready.key.as_deref().unwrap_or_default()
    }

    /// How a client connects to it.
    #[must_use]
    pub fn options(&self) -> Options {
        Options { url: self.url().to_owned(), api_key: self.api_key().into(), ..Options::default() }
    }

    /// A client of it. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub fn connect(&self) -> Result<Client, OptionsError> {
        Client::connect(self.options())
    }
}

impl fmt::Debug for DevServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevServer").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl DevProcess {
    /// Lets it end, and returns what it said last.
    fn end_of_log(mut self) -> String {
        self.end();
        let log = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }

    /// Closes its standard input, which ends it; kills it where it does not end.
    fn end(&mut self) {
        drop(self.child.stdin.take());
        let began = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && began.elapsed() < END {
            std::thread::sleep(POLL);
        }
        // Both fail where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for DevProcess {
    fn drop(&mut self) {
        self.end();
    }
}

/// The first line of an output, which is read to its end; absent where there is none in time.
fn first_line(output: ChildStdout) -> Option<String> {
    let (told, line) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let _ = told.send(lines.next());
        lines.for_each(drop);
    });
    line.recv_timeout(START).ok().flatten()
}

/// The program that is named, else that of a path in the form of `PATH`, else the one that was built beside `this` program: tests
/// are in a folder of the one that programs are built in.
fn find(named: Option<PathBuf>, path: Option<OsString>, this: Option<&Path>) -> Result<PathBuf, DevServerError> {
    if let Some(named) = named {
        let is_file = named.is_file();
        // It is started in another folder.
        let absolute = std::path::absolute(&named)?;
        return is_file
            .then_some(absolute)
            .ok_or_else(|| DevServerError::NoBinary(format!("{} is no file", named.display())));
    }
    let path = path.unwrap_or_default();
    let installed = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    let built = this.into_iter().flat_map(|this| this.ancestors().skip(1).take(2)).map(Path::to_owned);
    let name = format!("prompt-ledger{}", std::env::consts::EXE_SUFFIX);
    let found = installed.chain(built).map(|folder| folder.join(&name)).find(|path| path.is_file());
    found.ok_or_else(|| DevServerError::NoBinary("it is not in the PATH".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_that_which_is_named_or_installed_or_built_beside_the_test() {
        let folder = tempfile::tempdir().unwrap();
        let file = |place: &str| {
            let path = folder.path().join(place).join(format!("prompt-ledger{}", std::env::consts::EXE_SUFFIX));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            path
        };
        let (named, installed, built) = (file("named"), file("bin"), file("target/debug"));
        let path = std::env::join_paths([Path::new("."), &folder.path().join("none"), installed.parent().unwrap()]);
        let path = Some(path.unwrap());
        let test = folder.path().join("target/debug/deps/a_test");
        assert_eq!(find(Some(named.clone()), path.clone(), Some(&test)).unwrap(), named);
        assert_eq!(find(None, path, Some(&test)).unwrap(), installed);
        assert_eq!(find(None, None, Some(&test)).unwrap(), built);
        for (named, problem) in [(Some("no/such".into()), "no/such is no file"), (None, "it is not in the PATH")] {
            let error = find(named, None, None).unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains("PROMPT_LEDGER_BIN"), "{error}");
        }
    }
}
