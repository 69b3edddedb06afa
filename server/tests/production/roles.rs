//! The settings that stand on the role: printed and set by `migrate`, asked for at each start, and needed by whichever
//! role servers and workers log in with.

use std::process::Command;

use prompt_ledger_testkit::services::{self, Postgres};

use crate::kit::{Deployment, ended, greet, submit};

const DEPLOYMENT: &str = include_str!("../../../docs/deployment.md");

/// The lines of what a command said that are statements.
fn statements(said: &str) -> String {
    said.lines().filter(|line| line.starts_with("ALTER ROLE")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_setting_that_does_not_hold_is_an_error_with_the_statement_that_mends_it() {
    let deployment = Deployment::new().await;
    let name = deployment.sql("SELECT current_database()").trim().to_owned();
    let commands = || {
        [
            deployment.builder().said(&["serve"]),
            deployment.builder().said(&["keys", "list"]),
            deployment.worker_builder().said(&[]),
        ]
    };
    let (well, printed) = deployment.builder().said(&["migrate"]);
    let printed = statements(&printed);
    assert!(well && printed.lines().count() == 8, "{printed}");
    for (change, wrong, count) in [
        ("RESET ALL", "statement_timeout is 0, not 2s", 8),
        ("SET lock_timeout = '9s'", "lock_timeout is 9s, not 1s", 8),
        ("RESET enable_seqscan", "enable_seqscan is on, not off", 8),
    ] {
        deployment.sql(&format!("ALTER ROLE postgres IN DATABASE {name} {change}"));
        let (_, status) = deployment.builder().said(&["migrate", "status"]);
        assert!(status.contains("Settings of the role postgres, missing"), "{status}");
        for (well, said) in commands() {
            assert!(!well && said.contains(wrong) && said.contains("prompt-ledger migrate settings"), "{said}");
            assert_eq!((statements(&said), statements(&said).lines().count()), (printed.clone(), count));
        }
        // What is printed is what mends it.
        deployment.sql(&printed);
        let (well, said) = deployment.builder().said(&["keys", "list"]);
        assert!(well, "{said}");
    }
    // They stand on the role, and something else overrides them.
    let overridden = format!("{}?options=-c%20jit%3Don", deployment.value("DATABASE_URL"));
    let (well, said) = deployment.builder().env("DATABASE_URL", overridden).said(&["serve"]);
    assert!(!well && said.contains("jit is on, not off") && said.contains("RECONNECT"), "{said}");
    assert!(deployment.server().await.terminate().await.status.success());
}

#[tokio::test]
async fn a_connection_that_lacks_a_setting_later_on_is_logged_and_used() {
    let deployment = Deployment::new().await.without_database().expects("lacks settings of its role");
    let server = deployment.server().await;
    server.active("greet", "hello").await;
    let name = deployment.sql("SELECT current_database()").trim().to_owned();
    deployment.sql(&format!("ALTER ROLE postgres IN DATABASE {name} SET lock_timeout = '9s'"));
    deployment.sql(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE application_name = 'prompt-ledger' AND datname = current_database()",
    );
    server.process().says(|line| line.contains("\"ERROR\"") && line.contains("lock_timeout is 9s, not 1s")).await;
    server.active("greet", "hello again").await;
}

/// As docs/deployment.md has it.
#[tokio::test]
async fn one_role_migrates_and_another_one_serves() {
    let postgres = Postgres::start().await;
    let database = services::database_on(&postgres.url());
    let block = DEPLOYMENT.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, block).unwrap();
    let run = ["--no-psqlrc", "--set", "ON_ERROR_STOP=1", "-f"];
    let output = Command::new("psql").args(run).arg(file.path()).arg(database.url()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let as_role = |role: &str| database.url().replace("postgres@", &format!("{role}@"));
    let (redis, amqp) = (services::redis_url(), services::amqp_url());
    let deployment = Deployment::on(&as_role("ledger_migrate"), Some(&redis), Some(&amqp)).await;
    let deployment = deployment.with("DATABASE_URL", &as_role("ledger"));
    let (server, _worker) = deployment.pair().await;
    let id = submit(&server, greet()).await;
    ended(&server, &id).await;

    let (well, said) = deployment.builder().said(&["migrate", "settings"]);
    let name = database.url().rsplit_once('/').unwrap().1;
    assert!(well && said.contains("Settings of the role ledger, set"), "{said}");
    assert_eq!(statements(&said), statements(block).replace(":\"DBNAME\"", name));
}
