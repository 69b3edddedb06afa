//! Commands as documents print them, and a shell to run them in.

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The commands in the ```` ```sh ```` blocks of a document, in order; continued lines are one command.
#[must_use]
pub fn commands(document: &str) -> Vec<String> {
    blocks(document).iter().flat_map(|block| joined(block)).collect()
}

/// The ```` ```sh ```` blocks of a document, without their fences.
#[must_use]
pub fn blocks(document: &str) -> Vec<String> {
    let parts = document.split("```");
    // Between an opening fence and its end.
    parts.skip(1).step_by(2).filter_map(|block| Some(block.strip_prefix("sh\n")?.to_owned())).collect()
}

fn joined(block: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in block.lines() {
        match commands.last_mut().filter(|_| goes_on) {
            Some(open) => open.push_str(&format!("\n{line}")),
            None => commands.push(line.to_owned()),
        }
        goes_on = line.ends_with('\\');
    }
    commands
}

/// Writes a script that can be run. Another process writes it: a child that another test forks meanwhile would hold the file
/// open for writing, and who runs it then is told "text file busy".
///
/// # Panics
/// When it cannot be written.
pub fn script(path: &Path, text: &str) {
    let mut install = Command::new("install");
    install.args(["-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped());
    let mut install = install.spawn().unwrap();
    install.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(install.wait().unwrap().success());
}

/// A folder to work in, and the commands that a shell finds by their names.
#[derive(Debug)]
pub struct Commands {
    folder: TempDir,
}

impl Commands {
    /// With `grpcurl`, as `cargo xtask test` found it.
    #[must_use]
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        let this = Self { folder };
        match std::env::var_os("GRPCURL").map(PathBuf::from) {
            Some(grpcurl) => this.with("grpcurl", &std::fs::canonicalize(grpcurl).unwrap()),
            None => this,
        }
    }

    /// Adds a command.
    #[must_use]
    pub fn with(self, name: &str, program: &Path) -> Self {
        symlink(program, self.folder.path().join("bin").join(name)).unwrap();
        self
    }

    /// Where the shell works.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command here, with these commands before all others.
    pub fn set<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let path = std::env::var("PATH").unwrap_or_default();
        command.current_dir(self.folder()).env("PATH", format!("{}/bin:{path}", self.folder().display()))
    }
}

impl Default for Commands {
    fn default() -> Self {
        Self::new()
    }
}
