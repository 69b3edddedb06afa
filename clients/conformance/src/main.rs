//! `conformance`: the scenarios against any driver.
#![allow(clippy::print_stdout, reason = "a command line speaks through its standard output")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use prompt_ledger_conformance::drivers::DriverCommand;
use prompt_ledger_conformance::suite::{self, ServerParts};

/// Run the scenarios of the conformance suite against a driver
#[derive(Parser)]
#[command(name = "conformance")]
struct ConformanceCli {
    /// Only scenarios whose name contains this
    #[arg(long, default_value = "")]
    filter: String,
    /// The server; the one beside this program unless given
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// Also tell the scenarios that passed
    #[arg(long)]
    all: bool,
    /// The driver's command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    driver: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let ConformanceCli { filter, server, all, driver } = ConformanceCli::parse();
    let folder = std::env::current_dir().unwrap_or_default();
    let Some(driver) = DriverCommand::of(&driver, &folder) else { return ExitCode::FAILURE };
    let mut parts = ServerParts::built();
    parts.binary = server.unwrap_or(parts.binary);
    let report = suite::run(suite::scenarios(&filter), &driver, &parts, |name, outcome, took| match outcome {
        Ok(()) if all => println!("{name}: passed in {} ms", took.as_millis()),
        Ok(()) => {}
        Err(problem) => println!("{name}: FAILED\n  {problem}"),
    });
    let report = report.await;
    println!("{} passed, {} failed, in {:.1} s", report.passed, report.failed.len(), report.took.as_secs_f64());
    if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
