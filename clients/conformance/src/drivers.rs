//! The drivers that there are.

use std::path::{Path, PathBuf};

/// The driver of one language. Its commands are run in the root of the workspace, with the folders of [`DriverFolders`] filled
/// in.
#[derive(Debug)]
pub struct DriverEntry {
    pub language: &'static str,
    /// Makes what the driver needs; empty where it needs nothing.
    pub build: &'static [&'static str],
    pub run: &'static [&'static str],
}

/// Every driver. The workspace itself is built before.
pub const DRIVERS: [DriverEntry; 5] = [
    DriverEntry { language: "rust", build: &[], run: &["{built}/rust-driver"] },
    DriverEntry {
        language: "python",
        build: &["clients/python/check.sh", "{environments}/python", "environments"],
        run: &["{environments}/python/newest/bin/python", "clients/python/conformance_driver.py"],
    },
    DriverEntry {
        language: "typescript",
        build: &["clients/typescript/check.sh", "{environments}/typescript", "environments"],
        run: &["{environments}/typescript/node_modules/.bin/node", "clients/typescript/conformance_driver.ts"],
    },
    DriverEntry {
        language: "go",
        build: &["clients/go/check.sh", "{environments}/go", "environments"],
        run: &["{environments}/go/bin/conformance_driver"],
    },
    DriverEntry {
        language: "java",
        build: &["clients/java/check.sh", "{environments}/java", "environments"],
        run: &["clients/java/conformance_driver.sh", "{environments}/java"],
    },
];

/// What the commands of drivers name in braces.
#[derive(Clone, Debug)]
pub struct DriverFolders {
    /// The binaries of the workspace.
    pub built: PathBuf,
    /// What is installed and built for the clients, a folder for each language.
    pub environments: PathBuf,
}

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
    /// The command that starts it.
    #[must_use]
    pub fn command(&self, root: &Path, folders: &DriverFolders) -> Option<DriverCommand> {
        DriverCommand::of(&folders.filled(self.run), root)
    }

    /// The command that makes what it needs; absent where that is nothing.
    #[must_use]
    pub fn building(&self, root: &Path, folders: &DriverFolders) -> Option<DriverCommand> {
        DriverCommand::of(&folders.filled(self.build), root)
    }
}

impl DriverFolders {
    fn filled(&self, command: &[&str]) -> Vec<String> {
        let (built, environments) = (self.built.to_string_lossy(), self.environments.to_string_lossy());
        command.iter().map(|word| word.replace("{built}", &built).replace("{environments}", &environments)).collect()
    }
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
