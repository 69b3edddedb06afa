//! The binary `prompt-ledger`.

use std::process::ExitCode;

/// Gives memory back to the system soon after it was freed (`.cargo/config.toml` says when), also where nothing is
/// allocated any more. Linux's own keeps what large answers and requests took.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    prompt_ledger_server::cli::run()
}
