use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;

use crate::failure::CommandError;
use crate::output::Output;

/// Writes the manual.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl man | man -l -
  ledgerctl man --out /usr/local/share/man/man1

With --out each command has a page of its own, such as ledgerctl-prompt-get.1. Pages are the same under --json and \
--jsonl.")]
pub(crate) struct ManArgs {
    /// The folder to write a page for each command to; absent: the page of ledgerctl itself is on standard output
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

impl ManArgs {
    /// `command`: the whole command line.
    pub(crate) fn run(self, mut command: Command, output: &mut Output<'_>) -> Result<(), CommandError> {
        command.build();
        let Some(folder) = self.out else {
            return Ok(output.write(&page(command)?)?);
        };
        let failed = |path: &Path, error: &std::io::Error| {
            CommandError::refused(format!("--out: cannot write {}: {error}", path.display()))
        };
        std::fs::create_dir_all(&folder).map_err(|error| failed(&folder, &error))?;
        let mut count = 0_usize;
        for (name, command) in pages(command) {
            let path = folder.join(format!("{name}.1"));
            std::fs::write(&path, page(command)?).map_err(|error| failed(&path, &error))?;
            count += 1;
        }
        output.note(&format!("{count} pages in {}", folder.display()));
        Ok(())
    }
}

/// A built command and all below it, each by the name of its page.
fn pages(command: Command) -> Vec<(String, Command)> {
    let shown = command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help");
    let below: Vec<_> = shown.cloned().flat_map(pages).collect();
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    std::iter::once((name, command)).chain(below).collect()
}

fn page(command: Command) -> Result<String, CommandError> {
    let mut page = Vec::new();
    Man::new(command).manual("Prompt Ledger").render(&mut page).map_err(CommandError::refused)?;
    Ok(with_examples_as_they_are(&String::from_utf8_lossy(&page)))
}

/// The page, with indented lines left as they are, where a page would fill them into one paragraph.
fn with_examples_as_they_are(page: &str) -> String {
    let mut shown = String::with_capacity(page.len());
    let mut was_indented = false;
    for line in page.lines() {
        let is_indented = line.starts_with("  ");
        if is_indented != was_indented {
            shown.push_str(if is_indented { ".nf\n" } else { ".fi\n" });
        }
        was_indented = is_indented;
        shown.push_str(if line == ".SH EXTRA" { ".SH EXAMPLES" } else { line });
        shown.push('\n');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_stand_in_lines_of_their_own() {
        let page = ".SH EXTRA\nExamples:\n  ledgerctl a\n  ledgerctl b\n\nMore.\n";
        let expected = ".SH EXAMPLES\nExamples:\n.nf\n  ledgerctl a\n  ledgerctl b\n.fi\n\nMore.\n";
        assert_eq!(with_examples_as_they_are(page), expected);
    }
}
