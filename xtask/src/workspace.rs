//! Locates the workspace and calls cargo in it.

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The workspace that the command was started in.
pub struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub root: PathBuf,
    /// Cargo's target folder; not always `target`.
    pub target: PathBuf,
    pub packages: Vec<String>,
}

impl Workspace {
    pub fn locate() -> Result<Self, Box<dyn Error>> {
        let metadata = metadata(cargo(), &["--no-deps"])?;
        let folder = |key: &str| {
            metadata[key].as_str().map(PathBuf::from).ok_or_else(|| format!("cargo metadata does not tell {key}"))
        };
        let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(Self {
            root: folder("workspace_root")?,
            target: folder("target_directory")?,
            packages: packages.iter().filter_map(|package| Some(package["name"].as_str()?.to_owned())).collect(),
        })
    }

    /// Cargo, run in the root of the workspace.
    pub fn cargo(&self) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root);
        command
    }

    /// The output of `cargo metadata`: all packages, and their dependency graph.
    pub fn metadata(&self) -> Result<Value, Box<dyn Error>> {
        metadata(self.cargo(), &[])
    }
}

fn metadata(mut cargo: Command, args: &[&str]) -> Result<Value, Box<dyn Error>> {
    cargo.args(["metadata", "--format-version", "1"]).args(args).stderr(Stdio::inherit());
    let output = cargo
        .output()
        .map_err(|error| format!("cargo could not be started ({error}): install Rust from https://rustup.rs"))?;
    if !output.status.success() {
        return Err("cargo metadata failed".into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Cargo, without the variables that `cargo run` sets for this process's package: build scripts that watch them (ring's
/// does), and all that depends on those, would run again whenever they differ between `cargo xtask test` and `cargo
/// test`.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}
