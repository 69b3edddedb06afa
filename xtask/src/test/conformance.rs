//! `cargo xtask test --only conformance`: the scenarios of `clients/conformance` against every driver.

use std::path::Path;
use std::process::Command;

use prompt_ledger_conformance::drivers::{DRIVERS, DriverCommand, DriverEntry};
use prompt_ledger_conformance::suite::{self, ServerParts};
use prompt_ledger_testkit::services::Postgres;

use super::tally::TestTally;
use super::{finish, succeed};
use crate::workspace::Workspace;
use crate::{CommandOutcome, install, services};

/// Which drivers and scenarios; by the arguments: a language, and part of a scenario's name.
#[derive(Debug, PartialEq, Eq)]
struct Chosen<'a> {
    language: Option<&'a str>,
    filter: &'a str,
}

impl<'a> Chosen<'a> {
    fn of(args: &'a [String]) -> Self {
        let is_language = |arg: &&String| DRIVERS.iter().any(|driver| driver.language == arg.as_str());
        let filter = args.iter().find(|arg| !is_language(arg));
        Self { language: args.iter().find(is_language).map(String::as_str), filter: filter.map_or("", String::as_str) }
    }
}

/// Builds the workspace, and runs the scenarios against each driver that is there.
pub(super) fn run(workspace: &Workspace, args: &[String]) -> CommandOutcome {
    let chosen = Chosen::of(args);
    // As the tests are built: nothing is built twice.
    succeed(workspace.cargo().args(["build", "--workspace", "--all-targets"]))?;
    let target = workspace.target.join("debug");
    let runtime = services::runtime()?;
    let scenarios = suite::scenarios(chosen.filter);
    // Ends when it is dropped.
    let postgres = match scenarios.iter().any(|scenario| scenario.production.is_some()) {
        true => {
            install::services()?;
            Some(runtime.block_on(Postgres::start()))
        }
        false => None,
    };
    let parts = ServerParts { binary: target.join("prompt-ledger"), postgres: postgres.as_ref().map(Postgres::url) };
    let mut tally = TestTally::default();
    for driver in &DRIVERS {
        if chosen.language.is_some_and(|language| language != driver.language) {
            continue;
        }
        if !workspace.root.join(driver.file).exists() {
            println!("{}: there is no driver", driver.language);
            continue;
        }
        let Some(command) = built(driver, &workspace.root, &target)? else { continue };
        let ran = suite::run(scenarios.clone(), &command, &parts, |name, outcome, _| {
            if let Err(problem) = outcome {
                println!("{} {name}: FAILED\n  {problem}", driver.language);
            }
        });
        let report = runtime.block_on(ran);
        let (passed, failed) = (report.passed, report.failed.len());
        println!("{}: {passed} passed, {failed} failed, in {:.1} s", driver.language, report.took.as_secs_f64());
        tally.passed += u32::try_from(passed)?;
        tally.failed += u32::try_from(failed)?;
    }
    Ok(finish(&tally, true))
}

/// Builds a driver; the command that starts it.
fn built(
    driver: &DriverEntry,
    root: &Path,
    target: &Path,
) -> Result<Option<DriverCommand>, Box<dyn std::error::Error>> {
    if let Some(DriverCommand { program, args, folder }) = driver.building(root, target) {
        succeed(Command::new(program).args(args).current_dir(folder))?;
    }
    Ok(driver.command(root, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_choose_a_language_and_scenarios() {
        for (args, language, filter) in [
            (vec![], None, ""),
            (vec!["rust"], Some("rust"), ""),
            (vec!["cache."], None, "cache."),
            (vec!["rust", "cache."], Some("rust"), "cache."),
            (vec!["cache.", "rust"], Some("rust"), "cache."),
        ] {
            let args: Vec<String> = args.into_iter().map(String::from).collect();
            assert_eq!(Chosen::of(&args), Chosen { language, filter });
        }
    }
}
