use clap::Args;
use prompt_ledger_client::{OptionsError, without_user};

use super::file::ProfileFile;
use super::variable;
use crate::failure::CommandError;
use crate::output::Output;
use crate::style::Tone;

/// The profile that is used where nothing names another.
const DEFAULT: &str = "default";

/// Makes a profile the default.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl profile use production

The profile `default` becomes a copy of it: what is used where neither --profile nor LEDGER_PROFILE names another, by the clients \
of all languages too. A `default` that no other profile equals is not overwritten without --replace.

Standard output stays empty, also under --json and --jsonl.")]
pub(super) struct ProfileUseArgs {
    /// The profile
    #[arg(value_name = "NAME")]
    name: String,
    /// Overwrite a `default` that is kept under no other name
    #[arg(long)]
    replace: bool,
}

/// Forgets a profile.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl profile remove production

The key itself stays valid: `prompt-ledger keys revoke` beside the server ends it.

Standard output stays empty, also under --json and --jsonl.")]
pub(super) struct ProfileRemoveArgs {
    /// The profile
    #[arg(value_name = "NAME")]
    name: String,
}

impl ProfileUseArgs {
    pub(super) fn run(self, mut file: ProfileFile, output: &mut Output<'_>) -> Result<(), CommandError> {
        let profile = file.get(&self.name).ok_or_else(|| unknown(&self.name, &file))?;
        if profile.server.is_none() {
            return Err(CommandError::refused(OptionsError::NoServer {
                name: self.name,
                path: file.path.display().to_string(),
            }));
        }
        let present = file.get(DEFAULT);
        if present.as_ref() != Some(&profile) {
            let is_kept = |present| {
                file.names().iter().filter(|name| *name != DEFAULT).any(|name| file.get(name).as_ref() == Some(present))
            };
            if !self.replace && present.as_ref().is_some_and(|present| !is_kept(present)) {
                return Err(CommandError::refused(format!(
                    "the present `{DEFAULT}` in {} is kept under no other name and would be lost: add it under a name of its own first, or \
                     add --replace",
                    file.path.display()
                )));
            }
            file.set(DEFAULT, &profile);
            file.save()?;
        }
        output.note(&format!("`{}` is used where nothing names another", self.name));
        for name in ["LEDGER_SERVER", "LEDGER_PROFILE"] {
            if let Some(value) = variable(name) {
                output.note_as(Tone::Warning, &format!("{name} names another here: {}", without_user(&value)));
            }
        }
        Ok(())
    }
}

impl ProfileRemoveArgs {
    pub(super) fn run(self, mut file: ProfileFile, output: &mut Output<'_>) -> Result<(), CommandError> {
        let gone = file.get(&self.name);
        if !file.remove(&self.name) {
            return Err(unknown(&self.name, &file));
        }
        file.save()?;
        if gone.is_some() && file.get(DEFAULT) == gone {
            output.note_as(Tone::Warning, &format!("`{DEFAULT}` is a copy of it, with its key, and stays"));
        }
        output.note(&format!("profile `{}` is gone from {}", self.name, file.path.display()));
        Ok(())
    }
}

fn unknown(name: &str, file: &ProfileFile) -> CommandError {
    let names = file.names();
    let there = if names.is_empty() { "none; `ledgerctl profile add` keeps one".to_owned() } else { names.join(", ") };
    CommandError::refused(format!("there is no profile `{name}` in {}; there are: {there}", file.path.display()))
}
