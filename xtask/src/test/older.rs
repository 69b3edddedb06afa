//! The server and the worker of an older release, which a test runs beside these.

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::process::{Command, Stdio};

use super::succeed;
use crate::workspace::Workspace;

/// The last commit before chats, configs and labels: its processes must run beside those of today.
const COMMIT: &str = "1fe3a6e8e4eb59f1001bbfffe85da5c6b3a3753a";

/// The folder of the binaries, built once. Empty where the repository has no history of that age, such as in a shallow
/// clone.
pub(super) fn binaries(workspace: &Workspace) -> Result<OsString, Box<dyn Error>> {
    let folder = workspace.target.join("older");
    let (source, built) = (folder.join(COMMIT), folder.join("debug"));
    let done = source.join("built");
    if done.is_file() {
        return Ok(built.into());
    }
    let git = || {
        let mut git = Command::new("git");
        git.current_dir(&workspace.root);
        git
    };
    let known = git().args(["cat-file", "-e", COMMIT]).stderr(Stdio::null()).status()?;
    if !known.success() {
        println!("no history before this release: tests beside an older one are left out");
        return Ok(OsString::new());
    }
    println!("building an older release, for tests beside it (minutes, once)");
    fs::create_dir_all(&source)?;
    let archive = source.with_extension("tar");
    succeed(git().args(["archive", "--output"]).arg(&archive).arg(COMMIT))?;
    succeed(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&source))?;
    fs::remove_file(&archive)?;
    let mut build = workspace.cargo();
    build.current_dir(&source).args(["build", "--locked", "--target-dir"]).arg(&folder);
    build.args(["--package", "prompt-ledger-server", "--package", "prompt-ledger-worker"]);
    // Built quickly, for a few calls.
    build.args(["--config", "profile.dev.debug = false", "--config", "profile.dev.package.\"*\".opt-level = 0"]);
    succeed(&mut build)?;
    fs::write(&done, "")?;
    Ok(built.into())
}
