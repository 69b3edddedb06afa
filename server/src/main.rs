//! The binary `prompt-ledger`.

use std::process::ExitCode;

fn main() -> ExitCode {
    prompt_ledger_server::cli::run()
}
