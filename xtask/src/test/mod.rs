//! `cargo xtask test`: runs every test of the workspace and measures coverage.

mod clients;
mod coverage;
mod older;
mod tally;

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use self::clients::TestSuite;
use self::coverage::Coverage;
use self::tally::TestTally;
use crate::services::{self, Services};
use crate::workspace::Workspace;
use crate::{CommandOutcome, install};

/// Run every test and measure which lines of the code they reach: the one test command
///
/// Runs the unit, integration, end-to-end and documentation tests of the whole workspace, then fails when a test failed,
/// when fewer than 90 % of the hand-written lines were reached, or when any line of the pure rules (crates/domain,
/// crates/template) was not; those it lists. The last line reads `N passed, N failed`.
///
/// It installs what it needs and does not find: the LLVM tools of the toolchain, cargo-llvm-cov, grpcurl, docker-compose, systemd-analyze, zsh,
/// fish, jq, Postgres, PgBouncer, Redis, RabbitMQ and Prometheus. The tests run on private instances of the services, which it starts on free
/// ports and ends with itself; PgBouncer is started by the tests that need it.
/// Tests find the path of grpcurl in the environment variable GRPCURL, the services in TEST_POSTGRES_URL, TEST_REDIS_URL
/// and TEST_AMQP_URL, and in OLDER_BINARIES the server and the worker of an older release (empty without `--older`).
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask test                                     everything, as CI does
  cargo xtask test --no-coverage                       everything, without measuring: quicker
  cargo xtask test -- rollback                         tests whose name contains `rollback`
  cargo xtask test -- -p prompt-ledger-domain          the tests of one package
  cargo xtask test -- rollback -- --nocapture          and show what they print
  cargo xtask test --only conformance                  what all clients must pass, against every driver that is there
  cargo xtask test --only conformance -- --language rust --filter cache.   one driver, scenarios whose name contains `cache.`
  cargo xtask test --only python                       all that a change of the client for Python must pass")]
pub(crate) struct TestArgs {
    /// Run everything, but do not measure coverage
    #[arg(long)]
    no_coverage: bool,
    /// Also run tests beside an older release, which is built once from the history of the repository (some ten minutes)
    #[arg(long)]
    older: bool,
    /// Run one suite alone
    #[arg(long, value_name = "SUITE")]
    only: Option<TestSuite>,
    /// With --only: the folder of the workspace's binaries, which are built unless it is given
    #[arg(long, value_name = "FOLDER", requires = "only")]
    built: Option<PathBuf>,
    /// Arguments for `cargo test`, such as part of a test's name; coverage is then not measured
    #[arg(last = true, value_name = "CARGO TEST ARGUMENTS")]
    cargo_args: Vec<String>,
}

pub(crate) fn run(args: &TestArgs) -> CommandOutcome {
    let workspace = Workspace::locate()?;
    if let Some(suite) = args.only.filter(|suite| *suite != TestSuite::Workspace) {
        return clients::run(&workspace, suite, args.built.as_deref(), &args.cargo_args);
    }
    let grpcurl = install::grpcurl(&workspace)?;
    install::compose()?;
    install::systemd()?;
    install::shells()?;
    let older = if args.older { older::binaries(&workspace)? } else { OsString::new() };
    // The services end when this is dropped.
    let runtime = services::runtime()?;
    let services = Services::start(&runtime)?;
    let given = || {
        let found = [("GRPCURL", OsString::from(&grpcurl)), ("OLDER_BINARIES", older.clone())];
        services.env().into_iter().map(|(name, url)| (name, url.into())).chain(found)
    };
    if args.no_coverage || args.only.is_some() || !args.cargo_args.is_empty() {
        println!("running tests, coverage not measured");
        let mut command = workspace.cargo();
        command
            .args(["test", "--no-fail-fast"])
            .args(whole_workspace(&args.cargo_args))
            .args(&args.cargo_args)
            .envs(given());
        let tally = tallied(&mut command)?;
        return Ok(finish(&tally, true));
    }

    install::coverage_tools(&workspace)?;
    println!("removing what earlier measurements left");
    succeed(workspace.cargo().args(["llvm-cov", "clean", "--workspace"]))?;
    println!("building and running all tests, instrumented (the first build takes minutes)");
    let mut tests = workspace.cargo();
    tests.args(["llvm-cov", "--workspace", "--no-report", "--no-fail-fast", "--no-cfg-coverage"]).envs(given());
    let mut tally = tallied(&mut tests)?;
    println!("running the documentation tests");
    tally.add(&tallied(&mut doc_tests(&workspace))?);
    if tally.failed > 0 {
        println!("coverage is measured when all tests pass");
        return Ok(finish(&tally, false));
    }
    println!("measuring coverage");
    let coverage = measure(&workspace)?;
    print!("{coverage}");
    let shortfalls = coverage.shortfalls();
    for shortfall in &shortfalls {
        println!("not enough coverage: {shortfall}");
    }
    Ok(finish(&tally, shortfalls.is_empty()))
}

/// `--workspace`, unless the arguments choose packages.
fn whole_workspace(args: &[String]) -> Option<&'static str> {
    let cargo_args = args.iter().take_while(|arg| *arg != "--");
    let chosen = ["-p", "--package", "--workspace", "--manifest-path"];
    let mut cargo_args = cargo_args.map(|arg| arg.split_once('=').map_or(arg.as_str(), |(name, _)| name));
    (!cargo_args.any(|arg| chosen.contains(&arg))).then_some("--workspace")
}

/// Runs a step that must succeed.
fn succeed(command: &mut Command) -> Result<(), Box<dyn std::error::Error>> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed: {status}").into()) }
}

/// Runs cargo, shows its output, and counts the results in it.
fn tallied(command: &mut Command) -> Result<TestTally, Box<dyn std::error::Error>> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut tally = TestTally::default();
    let output = child.stdout.take().ok_or("cargo was started without a standard output")?;
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally.count(&line);
    }
    tally.end(child.wait()?.success());
    Ok(tally)
}

/// The documentation tests, linked with the instrumented libraries that cargo-llvm-cov has just built in this folder: a
/// separate build would take minutes. Their coverage is not counted.
fn doc_tests(workspace: &Workspace) -> Command {
    let folder = workspace.target.join("llvm-cov-target");
    let mut command = workspace.cargo();
    command.args(["test", "--workspace", "--doc", "--no-fail-fast", "--target-dir"]).arg(&folder);
    command.env("LLVM_PROFILE_FILE", folder.join("not-counted.profraw"));
    command
}

/// Computes the coverage from the profiles of the instrumented processes. A killed process may leave a truncated
/// profile, which is skipped. Every package is named, since without a choice cargo-llvm-cov reports the default members
/// only and leaves out all other folders.
fn measure(workspace: &Workspace) -> Result<Coverage, Box<dyn std::error::Error>> {
    let lcov = workspace.target.join("coverage.lcov");
    let mut report = workspace.cargo();
    report.args(["llvm-cov", "report", "--failure-mode", "all", "--lcov", "--output-path"]).arg(&lcov);
    report.args(workspace.packages.iter().flat_map(|package| ["--package", package]));
    succeed(&mut report)?;
    let text = std::fs::read_to_string(&lcov)?;
    println!("for editors: {}", lcov.display());
    Ok(Coverage::new(&text, &workspace.root, |path: &Path| std::fs::read_to_string(path).unwrap_or_default()))
}

/// Prints the total, and decides the exit code.
fn finish(tally: &TestTally, covered: bool) -> ExitCode {
    if tally.ignored > 0 {
        println!("{} ignored", tally.ignored);
    }
    println!("{tally}");
    if tally.failed == 0 && covered { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_workspace_is_tested_unless_packages_are_chosen() {
        for (args, whole) in [
            (vec![], true),
            (vec!["rollback"], true),
            (vec!["rollback", "--", "-p"], true),
            (vec!["-p", "prompt-ledger-domain"], false),
            (vec!["--package=prompt-ledger-domain"], false),
            (vec!["--workspace"], false),
        ] {
            let args: Vec<String> = args.into_iter().map(String::from).collect();
            assert_eq!(whole_workspace(&args).is_some(), whole, "{args:?}");
        }
    }

    #[test]
    fn output_is_counted_as_it_passes() {
        let result = "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        let tally = tallied(Command::new("echo").arg(result)).unwrap();
        assert_eq!((tally.passed, tally.failed, tally.ignored), (2, 0, 1));
    }

    #[test]
    fn a_command_that_fails_without_a_failed_test_is_a_failure() {
        let tally = tallied(&mut Command::new("false")).unwrap();
        assert_eq!((tally.passed, tally.failed), (0, 1));
    }
}
