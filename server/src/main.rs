//! The binary `prompt-ledger`.

use std::process::ExitCode;

/// Returns memory to the system soon after it was freed (`.cargo/config.toml` says when), also while nothing is
/// allocated. The system's allocator keeps what large requests and responses took.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    prompt_ledger_server::cli::run()
}
