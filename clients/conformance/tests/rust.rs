//! The Rust client passes the suite.

use prompt_ledger_conformance::drivers::DriverCommand;
use prompt_ledger_conformance::suite::{self, ServerParts};

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_client_passes_every_scenario() {
    let program = env!("CARGO_BIN_EXE_rust-driver").to_owned();
    let driver = DriverCommand { program, args: Vec::new(), folder: std::env::current_dir().unwrap() };
    let report = suite::run(suite::scenarios(""), &driver, &ServerParts::built(), |_, _, _| {}).await;
    let failed: String = report.failed.iter().map(|(name, problem)| format!("{name}: {problem}\n")).collect();
    assert!(failed.is_empty() && report.passed > 0, "{} passed; failed:\n{failed}", report.passed);
}
