//! What the commands of the workshop share with the program that measures (`figures/`): where the workspace is, and how missing
//! tools are found or installed.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks through its standard streams")]

pub mod install;
pub mod workspace;

/// The exit code of a command, or the reason why it could not do its work.
pub type CommandOutcome = Result<std::process::ExitCode, Box<dyn std::error::Error>>;
