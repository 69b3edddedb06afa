//! The drivers that there are.

use std::path::{Path, PathBuf};

/// The driver of one language. Commands are run in the root of the workspace; `{target}` is the folder with the built binaries.
#[derive(Debug)]
pub struct DriverEntry {
    pub language: &'static str,
    /// The driver is there where this file is, from the root of the workspace.
    pub file: &'static str,
    /// Empty: nothing is built.
    pub build: &'static [&'static str],
    pub run: &'static [&'static str],
}

/// Every driver. The workspace itself is built before.
pub const DRIVERS: [DriverEntry; 2] = [
    DriverEntry {
        language: "rust",
        file: "clients/conformance/src/bin/rust-driver/main.rs",
        build: &[],
        run: &["{target}/rust-driver"],
    },
    DriverEntry {
        language: "python",
        file: "clients/python/conformance_driver.py",
        build: &["clients/python/check.sh", "{target}/../python", "environments"],
        run: &["{target}/../python/newest/bin/python", "clients/python/conformance_driver.py"],
    },
];

/// The command that starts a driver.
#[derive(Clone, Debug)]
pub struct DriverCommand {
    pub program: String,
    pub args: Vec<String>,
    /// Where it is started.
    pub folder: PathBuf,
}

impl DriverCommand {
    /// A command of words; absent where there are none.
    #[must_use]
    pub fn of(words: &[String], folder: &Path) -> Option<Self> {
        let (program, args) = words.split_first()?;
        Some(Self { program: program.clone(), args: args.to_vec(), folder: folder.to_owned() })
    }
}

impl DriverEntry {
    /// The command that starts it; `target` is the folder with the built binaries.
    #[must_use]
    pub fn command(&self, root: &Path, target: &Path) -> Option<DriverCommand> {
        DriverCommand::of(&words(self.run, target), root)
    }

    /// The command that builds it; absent where nothing is built.
    #[must_use]
    pub fn building(&self, root: &Path, target: &Path) -> Option<DriverCommand> {
        DriverCommand::of(&words(self.build, target), root)
    }
}

fn words(command: &[&str], target: &Path) -> Vec<String> {
    command.iter().map(|word| word.replace("{target}", &target.to_string_lossy())).collect()
}

/// A binary of the workspace, beside the running one or above it.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn built(name: &str) -> PathBuf {
    let running = std::env::current_exe().unwrap();
    let folders = running.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is missing beside {}: cargo build --workspace", running.display()))
}
