//! `cargo xtask lint`: the rules of docs/ARCHITECTURE.md that rustc and clippy cannot check.

mod dependencies;
mod names;
mod sources;

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::CommandOutcome;
use crate::workspace::Workspace;

/// Check the rules of the architecture that no compiler knows
///
/// No hand-written Rust file over 400 lines, and no global mutable state in one. Dependencies between the crates point in
/// one direction, and only the two databases' crates know a driver. No name of a type occurs twice. What else must not be
/// used, and where, stands in clippy.toml. Prints each violation as `file:line: what`.
#[derive(clap::Args)]
pub(crate) struct LintArgs {}

/// Crates for tests only.
const OF_TESTS: [&str; 4] =
    ["clients/conformance/", "crates/services/", "crates/testkit/", "crates/store-conformance/"];

#[derive(Debug, PartialEq, Eq)]
struct LintViolation {
    /// Relative to the root, with the line where there is one.
    place: String,
    what: String,
}

impl fmt::Display for LintViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

pub(crate) fn run(_: &LintArgs) -> CommandOutcome {
    let workspace = Workspace::locate()?;
    let mut violations = dependencies::check(&workspace.metadata()?);
    let files = rust_files(&workspace.root, &workspace.target)?;
    let mut names = names::TypeNames::default();
    for file in &files {
        let name = file.strip_prefix(&workspace.root)?.to_string_lossy().replace('\\', "/");
        let text = std::fs::read_to_string(file)?;
        violations.extend(sources::check(&name, &text));
        names.note(&name, &text);
    }
    violations.extend(names.violations());
    for violation in &violations {
        println!("{violation}");
    }
    println!("{} Rust files checked, {} violations", files.len(), violations.len());
    Ok(if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All Rust files below a folder, sorted, without those that are built, downloaded or hidden.
fn rust_files(folder: &Path, target: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::path);
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            if path != target && name != "target" && name != "node_modules" && !name.starts_with('.') {
                files.extend(rust_files(&path, target)?);
            }
        } else if name.ends_with(".rs") {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_files_are_found_but_not_those_built_or_hidden() {
        let root = tempfile::tempdir().unwrap();
        for file in ["src/b.rs", "src/a/c.rs", "a.md", "out/x.rs", "target/x.rs", "node_modules/x.rs", ".git/x.rs"] {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let files = rust_files(root.path(), &root.path().join("out")).unwrap();
        assert_eq!(files, [root.path().join("src/a/c.rs"), root.path().join("src/b.rs")]);
    }
}
