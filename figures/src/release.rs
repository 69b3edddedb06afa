//! Builds and sets up the release binaries that are measured.

use std::error::Error;
use std::path::PathBuf;

use prompt_ledger_testkit::ledger::{Builder, server};
use prompt_ledger_testkit::services::{Database, Redis};

use xtask::workspace::Workspace;

pub(super) type FigureError = Box<dyn Error + Send + Sync>;

/// Builds these packages for release; returns the folder of their binaries.
pub(super) fn release_binaries(packages: &[&str]) -> Result<PathBuf, FigureError> {
    eprintln!("building the release binaries");
    let workspace = Workspace::locate().map_err(|error| error.to_string())?;
    let packages = packages.iter().flat_map(|package| ["--package", package]);
    let status = workspace.cargo().args(["build", "--release", "--locked"]).args(packages).status()?;
    if !status.success() {
        return Err("the release build failed".into());
    }
    Ok(workspace.target.join("release"))
}

/// A process to be measured; what it warns of fails nothing.
pub(super) fn subject(binary: impl Into<PathBuf>) -> Builder {
    server(binary).unwatched()
}

pub(super) fn migrated(builder: &Builder) -> Result<(), FigureError> {
    match builder.said(&["migrate"]) {
        (true, _) => Ok(()),
        (false, said) => Err(said.into()),
    }
}

/// A binary on a database of its own.
pub(super) fn configured(binary: PathBuf, database: &Database, redis: &Redis) -> Builder {
    subject(binary)
        .env("DATABASE_URL", database.url())
        .env("REDIS_URL", redis.url())
        .env("QUEUE_DEPTH_LIMIT", "100000000")
        .env("LOG", "warn,prompt_ledger_worker::process=info")
}
