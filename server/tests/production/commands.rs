//! The commands of production: their refusals and their output.

use prompt_ledger_testkit::ledger::server;

use crate::kit::{Deployment, eventually};

#[tokio::test]
async fn migrations_are_applied_shown_and_taken_back() {
    let deployment = Deployment::new().await;
    let said = |args: &[&str]| deployment.builder().said(args);
    let (well, status) = said(&["migrate", "status"]);
    assert!(well && status.contains("1  applied  ledger"), "{status}");
    assert!(status.contains("postgres://127.0.0.1") && !status.contains("postgres@"), "{status}");
    let (well, asked) = said(&["migrate", "down", "--to", "0"]);
    assert!(!well && asked.contains("--yes") && asked.contains("1 ledger"), "{asked}");
    let (well, down) = said(&["migrate", "down", "--to", "0", "--yes"]);
    assert!(well && down.contains("missing"), "{down}");
    let (well, refused) = said(&["serve"]);
    assert!(!well && refused.contains("prompt-ledger migrate"), "{refused}");
    let (well, refused) = deployment.worker_builder().said(&[]);
    assert!(!well && refused.contains("prompt-ledger migrate"), "{refused}");
    let (well, up) = said(&["migrate"]);
    assert!(well && up.contains("applied"), "{up}");
    let (well, refused) = said(&["migrate", "down", "--to", "99"]);
    assert!(!well && refused.contains("no migration 99"), "{refused}");
}

#[tokio::test]
async fn nothing_is_taken_back_under_a_server_or_a_worker_that_runs() {
    let deployment = Deployment::new().await;
    let down = || deployment.builder().said(&["migrate", "down", "--to", "0", "--yes"]);
    let server = deployment.server().await;
    server.active("greet", "hello").await;
    let (well, refused) = down();
    assert!(!well && refused.contains("in use") && refused.contains("Stop them first"), "{refused}");
    server.active("greet", "hello again").await;
    assert!(server.terminate().await.status.success());

    let worker = deployment.worker().await;
    // A worker logs that it works shortly before it first asks for work.
    let connections = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'prompt-ledger'";
    eventually("the worker's connections", async || deployment.sql(connections).trim() != "0").await;
    let (well, refused) = down();
    assert!(!well && refused.contains("in use"), "{refused}");
    assert!(worker.terminate().await.status.success());
    // Postgres may take some time to notice that the processes are gone.
    eventually("the database to be free", async || down().0).await;
}

#[tokio::test]
async fn the_embedded_file_migrates_by_the_same_command() {
    let folder = tempfile::tempdir().unwrap();
    let bare = server(env!("CARGO_BIN_EXE_prompt-ledger")).env("DATA_DIR", folder.path().to_str().unwrap());
    assert!(bare.said(&["migrate"]).1.contains("applied"));
    assert!(bare.said(&["migrate", "status"]).1.contains("applied"));
    let (well, asked) = bare.said(&["migrate", "down", "--to", "0"]);
    assert!(!well && asked.contains("--yes"), "{asked}");
    let down = || bare.said(&["migrate", "down", "--to", "0", "--yes"]);
    let server = server(env!("CARGO_BIN_EXE_prompt-ledger")).data_dir(folder.path()).start().await;
    let (well, refused) = down();
    assert!(!well && refused.contains("another Prompt Ledger runs"), "{refused}");
    server.active("greet", "hello").await;
    assert!(server.terminate().await.status.success());
    assert!(down().1.contains("missing"));
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_said_at_once_and_no_password_is_shown() {
    let bare = server(env!("CARGO_BIN_EXE_prompt-ledger"));
    let (well, said) = bare.said(&["serve"]);
    assert!(!well && said.contains("DATABASE_URL is not set"), "{said}");
    let wrong = server(env!("CARGO_BIN_EXE_prompt-ledger"))
        .env("DATABASE_URL", "mysql://ada:hunter2@db/ledger")
        .env("REDIS_URL", "hunter2")
        .env("RETRY_DELAYS", "soon")
        .env("WORKER_CONCURRENCY", "0");
    let (well, said) = wrong.said(&["serve"]);
    assert!(!well && !said.contains("hunter2"), "{said}");
    for name in ["DATABASE_URL", "REDIS_URL", "RETRY_DELAYS", "WORKER_CONCURRENCY"] {
        assert!(said.contains(name), "{said}");
    }
    let absent =
        server(env!("CARGO_BIN_EXE_prompt-ledger")).env("DATABASE_URL", "postgres://ada:hunter2@127.0.0.1:1/x");
    let (well, said) = absent.said(&["serve"]);
    assert!(!well && said.contains("postgres://127.0.0.1:1") && !said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn off_loopback_plain_text_is_refused_unless_it_is_meant() {
    let deployment = Deployment::new().await;
    let (well, said) = deployment.builder().env("LISTEN_ADDR", "0.0.0.0:0").said(&["serve"]);
    assert!(!well && said.contains("TLS_CERT") && said.contains("ALLOW_PLAINTEXT"), "{said}");
    let meant = deployment
        .builder()
        .expects("plain text off loopback")
        .addr("0.0.0.0:0")
        .env("ALLOW_PLAINTEXT", "true")
        .start()
        .await;
    assert!(meant.output().iter().any(|line| line.contains("plain text off loopback")), "{:?}", meant.output());
}
