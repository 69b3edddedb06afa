use clap::{Args, Command};
use clap_complete::Shell;

use crate::failure::CommandError;
use crate::output::Output;

/// Writes the completions of a shell.
#[derive(Args)]
#[command(after_help = "Examples:
  ledgerctl completions bash > ~/.local/share/bash-completion/completions/ledgerctl
  ledgerctl completions zsh > ~/.zfunc/_ledgerctl
  ledgerctl completions fish > ~/.config/fish/completions/ledgerctl.fish

For zsh, ~/.zfunc must stand in fpath before compinit is called: fpath=(~/.zfunc $fpath) in ~/.zshrc.
For this shell alone: source <(ledgerctl completions bash)

The script is the same under --json and --jsonl.")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

impl CompletionsArgs {
    /// `command`: the whole command line.
    pub(crate) fn run(self, mut command: Command, output: &mut Output<'_>) -> Result<(), CommandError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "ledgerctl", &mut script);
        Ok(output.write(&String::from_utf8_lossy(&script))?)
    }
}
