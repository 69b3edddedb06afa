//! The ten lines of the Rust client's README do what they say. The program is one of this crate's, since a library's examples are
//! built by some ways of running the tests only.

use std::process::Command;

use prompt_ledger_client::testing::{DevServer, DevServerOptions};
use prompt_ledger_testkit::ledger::built_binary;

#[test]
fn the_ten_lines_of_the_rust_client_run_as_they_stand() {
    let options = DevServerOptions { binary: Some(built_binary()), ..DevServerOptions::default() };
    let server = DevServer::start(options).unwrap();
    let mut greet = Command::new(env!("CARGO_BIN_EXE_rust-readme"));
    let output = greet.env("LEDGER_SERVER", server.url()).env("LEDGER_API_KEY", server.api_key()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.matches("Say hello to Ada.").count(), 2, "{said}");
}
