//! `conformance`: the scenarios against any driver.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks through its standard streams")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use prompt_ledger_conformance::drivers::{DRIVERS, DriverCommand, DriverFolders};
use prompt_ledger_conformance::suite::{self, ServerParts};

/// Run the scenarios of the conformance suite against drivers
///
/// The last line reads `N passed, N failed`. Scenarios in production need a Postgres: TEST_POSTGRES_URL.
#[derive(Parser)]
#[command(name = "conformance")]
struct ConformanceCli {
    /// Only scenarios whose name contains this
    #[arg(long, default_value = "")]
    filter: String,
    /// Only the driver of this language; may be repeated
    #[arg(long, conflicts_with = "driver")]
    language: Vec<String>,
    /// Where what the drivers need is installed, a folder for each language; the folder above the program's unless given
    #[arg(long, value_name = "FOLDER")]
    environments: Option<PathBuf>,
    /// The server; the one beside this program unless given
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// Also tell the scenarios that passed
    #[arg(long)]
    all: bool,
    /// The command of a driver; those of all languages unless given
    #[arg(last = true, value_name = "COMMAND")]
    driver: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = ConformanceCli::parse();
    let mut parts = ServerParts::built();
    parts.binary = cli.server.clone().unwrap_or(parts.binary);
    let current = std::env::current_dir().unwrap_or_default();
    let drivers = match DriverCommand::of(&cli.driver, &current) {
        Some(driver) => vec![("driver", driver)],
        None => match drivers(&cli) {
            Ok(drivers) => drivers,
            Err(problem) => {
                eprintln!("error: {problem}");
                return ExitCode::FAILURE;
            }
        },
    };
    let (mut passed, mut failed) = (0, 0);
    for (language, driver) in drivers {
        let report = suite::run(suite::scenarios(&cli.filter), &driver, &parts, |name, outcome, took| match outcome {
            Ok(()) if cli.all => println!("{language} {name}: passed in {} ms", took.as_millis()),
            Ok(()) => {}
            Err(problem) => println!("{language} {name}: FAILED\n  {problem}"),
        });
        let report = report.await;
        println!(
            "{language}: {} of {} scenarios passed, in {:.1} s",
            report.passed,
            report.passed + report.failed.len(),
            report.took.as_secs_f64()
        );
        passed += report.passed;
        failed += report.failed.len();
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The drivers of the chosen languages, each with what it needs.
fn drivers(cli: &ConformanceCli) -> Result<Vec<(&'static str, DriverCommand)>, String> {
    if let Some(unknown) = cli.language.iter().find(|chosen| DRIVERS.iter().all(|driver| driver.language != **chosen)) {
        let known = DRIVERS.map(|driver| driver.language).join(", ");
        return Err(format!("there is no driver for {unknown}; there are {known}"));
    }
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let built = program.parent().unwrap_or(Path::new(".")).to_owned();
    let above = built.parent().unwrap_or(&built).join("clients");
    let folders = DriverFolders { built, environments: cli.environments.clone().unwrap_or(above) };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let chosen = DRIVERS
        .iter()
        .filter(|driver| cli.language.is_empty() || cli.language.iter().any(|language| language == driver.language));
    let mut drivers = Vec::new();
    for driver in chosen {
        if let Some(DriverCommand { program, args, folder }) = driver.building(&root, &folders) {
            println!("{}: making what the driver needs", driver.language);
            let status = Command::new(&program).args(args).current_dir(folder).status();
            if !status.map_err(|error| format!("{program}: {error}"))?.success() {
                return Err(format!("{program} failed"));
            }
        }
        drivers.extend(driver.command(&root, &folders).map(|command| (driver.language, command)));
    }
    Ok(drivers)
}
