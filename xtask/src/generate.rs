//! `cargo xtask generate`: what is committed and made from `proto/`.

use std::process::{Command, ExitCode};

use crate::CommandOutcome;
use crate::workspace::Workspace;

/// Generate what is committed and made from proto/: its image, with which later changes are compared, and the stubs of the clients
///
/// `proto/generate.sh` and each language's `clients/LANGUAGE/generate.sh` do it, with tools of pinned versions, which they install
/// below the target folder. A contract that breaks callers is refused. Rust generates its own stubs when it is built.
#[derive(clap::Args)]
pub(crate) struct GenerateArgs {
    /// Write nothing, and fail where what is committed differs
    #[arg(long)]
    check: bool,
    /// Only these; all that have a generate.sh unless given
    #[arg(value_name = "LANGUAGE")]
    languages: Vec<String>,
}

pub(crate) fn run(args: &GenerateArgs) -> CommandOutcome {
    let workspace = Workspace::locate()?;
    let clients = workspace.root.join("clients");
    let check = args.check.then_some("--check");
    let mut contract = Command::new(workspace.root.join("proto/generate.sh"));
    if !contract.args(check).arg(workspace.target.join("tools")).status()?.success() {
        return Err("failed: the contract".into());
    }
    let languages = match args.languages.is_empty() {
        false => args.languages.clone(),
        true => {
            let mut found = Vec::new();
            for entry in std::fs::read_dir(&clients)? {
                let entry = entry?;
                if entry.path().join("generate.sh").is_file() {
                    found.push(entry.file_name().to_string_lossy().into_owned());
                }
            }
            found.sort();
            found
        }
    };
    let mut differ = Vec::new();
    for language in languages {
        println!("{language}");
        let script = clients.join(&language).join("generate.sh");
        if !script.is_file() {
            return Err(format!("{} is missing: no stubs are committed for {language}", script.display()).into());
        }
        let mut generate = Command::new(script);
        generate.args(check).arg(workspace.target.join("clients").join(&language));
        if !generate.status()?.success() {
            differ.push(language);
        }
    }
    if differ.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(format!("failed: {}", differ.join(", ")).into())
}
