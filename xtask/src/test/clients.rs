//! `cargo xtask test --only ...`: what a change of one client must pass, and the scenarios that all clients pass.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use prompt_ledger_services::{self as services, Postgres};

use super::succeed;
use crate::services::runtime;
use crate::workspace::Workspace;
use crate::{CommandOutcome, install};

/// A suite that can be run by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum TestSuite {
    /// The tests of the workspace, coverage not measured
    Workspace,
    /// The scenarios that every client passes, against every driver; arguments: those of `conformance`
    Conformance,
    /// The client for Rust: its tests, and the scenarios
    Rust,
    /// The client for Python: all that its check.sh lists, and the scenarios
    Python,
    /// The client for TypeScript: all that its check.sh lists, and the scenarios
    Typescript,
    /// The client for Go: all that its check.sh lists, and the scenarios
    Go,
    /// The client for Java: all that its check.sh lists, and the scenarios
    Java,
}

impl TestSuite {
    /// As the folder in `clients/` is called, and the driver.
    fn language(self) -> Option<&'static str> {
        match self {
            Self::Workspace | Self::Conformance => None,
            Self::Rust => Some("rust"),
            Self::Python => Some("python"),
            Self::Typescript => Some("typescript"),
            Self::Go => Some("go"),
            Self::Java => Some("java"),
        }
    }
}

/// The suite, and the scenarios against its drivers. `built` has the binaries of the workspace; absent: they are built.
pub(super) fn run(workspace: &Workspace, suite: TestSuite, built: Option<&Path>, args: &[String]) -> CommandOutcome {
    let built = match built {
        Some(folder) => std::fs::canonicalize(folder)?,
        None => {
            // As the tests are built: nothing is built twice.
            succeed(workspace.cargo().args(["build", "--workspace", "--all-targets"]))?;
            workspace.target.join("debug")
        }
    };
    let checked = match suite.language() {
        None => true,
        Some("rust") => workspace.cargo().args(["test", "--package", "prompt-ledger-client"]).status()?.success(),
        Some(language) => check(workspace, language, &built)?,
    };
    let conforms = scenarios(workspace, suite.language(), &built, args)?;
    Ok(if checked && conforms { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(workspace: &Workspace, language: &str, built: &Path) -> std::io::Result<bool> {
    let script = workspace.root.join("clients").join(language).join("check.sh");
    let mut check = Command::new(script);
    check.arg(folder(workspace).join(language)).env("PROMPT_LEDGER_BIN", built.join("prompt-ledger"));
    Ok(check.status()?.success())
}

/// Where what is installed and built for the clients is kept, a folder for each language.
fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("clients")
}

/// Those on Postgres too: it ends with this.
fn scenarios(
    workspace: &Workspace,
    language: Option<&str>,
    built: &Path,
    args: &[String],
) -> Result<bool, Box<dyn std::error::Error>> {
    install::services()?;
    let runtime = runtime()?;
    let postgres = runtime.block_on(Postgres::start());
    let mut conformance = Command::new(built.join("conformance"));
    conformance.current_dir(&workspace.root).env(services::POSTGRES, postgres.url());
    conformance.arg("--environments").arg(folder(workspace));
    conformance.args(language.iter().flat_map(|language| ["--language", language])).args(args);
    Ok(conformance.status()?.success())
}
