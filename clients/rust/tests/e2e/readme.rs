//! What the README shows is what is run (its ten lines by the conformance suite), and a server for tests.

use std::net::TcpStream;

use prompt_ledger_client::testing::{DevServer, DevServerError, DevServerOptions};
use prompt_ledger_client::v1::PutPromptRequest;
use prompt_ledger_testkit::ledger::{built_binary, put, spec};

fn options() -> DevServerOptions {
    DevServerOptions { binary: Some(built_binary()), ..DevServerOptions::default() }
}

#[test]
fn what_the_readme_shows_is_what_is_run() {
    let readme = include_str!("../../README.md");
    let blocks: Vec<_> =
        readme.split("```rust,no_run\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(include_str!("../../examples/greet.rs").ends_with(blocks[0]), "{}", blocks[0]);
    assert!(blocks.contains(&include_str!("testing.rs")), "{blocks:#?}");
}

#[tokio::test]
async fn a_server_for_tests_serves_until_it_is_dropped() {
    let environment = vec![("METRICS_ADDR".into(), "off".into())];
    let server = DevServer::start(DevServerOptions { environment, ..options() }).unwrap();
    let ledger = server.connect().unwrap();
    let greet = PutPromptRequest { set_active: true, ..put("greet", "Hi {{name}}") };
    ledger.prompts().put(greet).await.unwrap();
    let outcome = ledger.run(spec("greet", &[("name", "Ada")])).await.unwrap();
    assert!(outcome.raise_for_status().unwrap().response_text.contains("Hi Ada"));
    assert!(server.http().unwrap().starts_with("http://127.0.0.1:") && server.metrics().is_none(), "{server:?}");
    let address = server.url().strip_prefix("http://").unwrap().to_owned();
    assert!(TcpStream::connect(&address).is_ok());
    drop(server);
    assert!(TcpStream::connect(&address).is_err(), "it serves on {address}");
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let refused = DevServer::start(DevServerOptions { arguments: vec!["--no-such-option".into()], ..options() });
    let error = refused.unwrap_err();
    assert!(matches!(&error, DevServerError::NotStarted(log) if log.contains("--no-such-option")), "{error}");
    let binary = Some(built_binary().with_file_name("no-such-program"));
    let missing = DevServer::start(DevServerOptions { binary, ..options() }).unwrap_err();
    assert!(matches!(&missing, DevServerError::NoBinary(why) if why.contains("no-such-program")), "{missing}");
}
