//! A real PgBouncer in front of Postgres, in session and in transaction mode.

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::services::{self, PgBouncer, PoolMode, Postgres};

use crate::kit::{Deployment, ended, greet, submit};

/// Through the pooler, on a database that was migrated directly.
async fn behind(pooler: &PgBouncer, database: &str) -> Deployment {
    let (redis, amqp) = (services::redis_url(), services::amqp_url());
    let deployment = Deployment::on(database, Some(&redis), Some(&amqp)).await;
    deployment.with("DATABASE_URL", &pooler.url(database))
}

/// Executions through a server and a worker, a list, figures and a key.
async fn works(deployment: &Deployment) {
    let (server, worker) = deployment.pair().await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(submit(&server, greet()).await);
    }
    for id in &ids {
        assert_eq!(ended(&server, id).await.status(), v1::ExecutionStatus::Succeeded);
    }
    assert_eq!(server.run(greet()).await.status(), v1::ExecutionStatus::Succeeded);
    let request = v1::ListExecutionsRequest { prompt_name: "greet".into(), ..v1::ListExecutionsRequest::default() };
    let listed = server.executions().list_executions(request).await.unwrap().into_inner();
    assert_eq!(listed.executions.len(), 21);
    let (well, said) = deployment.builder().said(&["keys", "create", "--name", "pooled"]);
    assert!(well, "{said}");
    let all = server.terminate().await.output.into_iter().chain(worker.terminate().await.output);
    let wrong: Vec<_> = all.filter(|line| line.contains("\"ERROR\"") || line.contains("prepared statement")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn in_session_mode_everything_works_and_migrations_too() {
    let postgres = Postgres::start().await;
    let pooler = PgBouncer::to(&postgres.url(), PoolMode::Session).await;
    let database = services::database_on(&postgres.url());
    let (redis, amqp) = (services::redis_url(), services::amqp_url());
    let deployment = Deployment::on(&pooler.url(database.url()), Some(&redis), Some(&amqp)).await;
    let (well, status) = deployment.builder().said(&["migrate", "status"]);
    assert!(well && status.contains("applied") && status.contains("ALTER ROLE postgres IN DATABASE"), "{status}");
    works(&deployment).await;
}

#[tokio::test]
async fn in_transaction_mode_without_prepared_statements_nothing_starts() {
    let postgres = Postgres::start().await;
    for mode in [PoolMode::Transaction, PoolMode::TransactionInTurns, PoolMode::Statement] {
        let pooler = PgBouncer::to(&postgres.url(), mode).await;
        let database = services::database_on(&postgres.url());
        nothing_starts(&behind(&pooler, database.url()).await);
    }
}

fn nothing_starts(deployment: &Deployment) {
    // The second round meets what the first has left in the pooler's sessions.
    for _ in 0..2 {
        for (well, said) in [
            deployment.builder().said(&["serve"]),
            deployment.builder().said(&["keys", "list"]),
            deployment.worker_builder().said(&[]),
        ] {
            assert!(
                !well && said.contains("max_prepared_statements") && said.contains("pool_mode = session"),
                "{said}"
            );
        }
        for args in [&["migrate"][..], &["migrate", "status"], &["migrate", "down", "--to", "0", "--yes"]] {
            let (well, said) = deployment.builder().said(args);
            assert!(!well && said.contains("a session of its own") && said.contains("session mode"), "{said}");
        }
    }
}

/// PgBouncer 1.21 and later; earlier ones refuse the setting and are covered above.
#[tokio::test]
async fn in_transaction_mode_with_prepared_statements_everything_works_but_migrations() {
    if !PgBouncer::keeps_statements() {
        return;
    }
    let postgres = Postgres::start().await;
    let pooler = PgBouncer::to(&postgres.url(), PoolMode::TransactionWithStatements).await;
    let database = services::database_on(&postgres.url());
    let deployment = behind(&pooler, database.url()).await;
    let (well, said) = deployment.builder().said(&["migrate"]);
    assert!(!well && said.contains("a session of its own"), "{said}");
    works(&deployment).await;
}
