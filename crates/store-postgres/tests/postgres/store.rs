//! The conformance suite on Postgres, and tests of what is specific to Postgres.

use async_trait::async_trait;
use prompt_ledger_domain::Timestamp;
use prompt_ledger_domain::error::Reason;
use prompt_ledger_domain::ids::ExecutionId;
use prompt_ledger_store::{
    Access, ExecutionReader, ExecutionWriter, Leases, Maintenance, NewExecution, ProcessKind, ProcessRecord, Processes,
    Registry, RollupPolicy, Store,
};
use prompt_ledger_store_postgres::{Postgres, PostgresOptions, migrate_down, migrate_status, migrate_up};
use prompt_ledger_testkit::services::{self, Database, Postgres as Service};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use prompt_ledger_store_conformance::kit::{
    self, Backend, OpenTransaction, an_execution, get, holder, new_id, now, providers, put_active, reason, register,
    run, start, submit, success,
};

struct Begun(PgConnection);

#[async_trait]
impl OpenTransaction for Begun {
    async fn commit(mut self: Box<Self>) {
        self.0.execute("COMMIT").await.unwrap();
    }
}

/// A store in a database of its own, which is dropped with it.
pub(crate) struct Fresh {
    pub(crate) store: Postgres,
    pub(crate) database: Database,
}

impl Fresh {
    pub(crate) async fn connection(&self) -> PgConnection {
        let options = sqlx::postgres::PgConnectOptions::from_str(self.database.url()).unwrap();
        options.options(services::UNBOUND).connect().await.unwrap()
    }
}

pub(crate) async fn open(url: &str) -> prompt_ledger_domain::Result<Postgres> {
    Postgres::open(url, PostgresOptions::default()).await
}

#[async_trait]
impl Backend for Fresh {
    type Store = Postgres;

    const YOUTH: bool = true;

    async fn fresh() -> Self {
        let database = services::database();
        let (_, name) = database.url().rsplit_once('/').unwrap();
        // The disk of a busy machine may take longer than the store waits.
        services::sql(database.url(), &format!("ALTER DATABASE {name} SET synchronous_commit = off"));
        migrate_up(database.url()).await.unwrap();
        Self { store: open(database.url()).await.unwrap(), database }
    }

    fn store(&self) -> &Postgres {
        &self.store
    }

    fn timestamp(micros: i64) -> String {
        format!("timestamptz 'epoch' + {micros} * interval '1 microsecond'")
    }

    async fn execute(&self, sql: String) -> Result<(), String> {
        let done = self.connection().await.execute(AssertSqlSafe(sql)).await;
        done.map(|_| ()).map_err(|error| error.to_string())
    }

    async fn roll_up_until(&self, at: Timestamp, crowd: usize) -> Timestamp {
        let at = at.0 - at.0.rem_euclid(10_000_000);
        let keep = now().since(Timestamp(at));
        let policy = RollupPolicy { settle: Duration::ZERO, keep, crowd };
        // Transactions of other tests on the same server delay the rollup.
        loop {
            let until = self.count("SELECT (extract(epoch FROM until) * 1000000)::int8 FROM usage_rolled_up").await;
            if until >= at {
                return Timestamp(until);
            }
            self.store.roll_up(policy).await.unwrap();
        }
    }

    async fn begun(&self, sql: String) -> Option<Box<dyn OpenTransaction>> {
        let mut connection = self.connection().await;
        connection.execute(AssertSqlSafe(format!("BEGIN; {sql}"))).await.unwrap();
        Some(Box::new(Begun(connection)))
    }

    async fn count(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut self.connection().await).await.unwrap()
    }
}

#[tokio::test]
async fn migrations_go_forwards_and_back_on_data() {
    let fresh = Fresh::fresh().await;
    let url = fresh.database.url();
    let new = an_execution(&fresh).await;
    run(&fresh, &new).await;
    register(&fresh, put_active("greet", "again")).await;
    fresh.execute("INSERT INTO models VALUES ('vllm', 'qwen', NULL, true, false, now(), now())".into()).await.unwrap();
    migrate_up(url).await.unwrap();
    let status = migrate_status(url).await.unwrap();
    assert!(status.iter().all(|migration| migration.applied), "{status:?}");
    let queued = NewExecution { id: ExecutionId(new_id()), must_be_active: false, ..new };
    fresh.store.submit(queued.clone(), Duration::ZERO).await.unwrap();
    let process = ProcessRecord {
        id: "worker-1".into(),
        kind: ProcessKind::Worker,
        providers: BTreeMap::default(),
        release: "1".into(),
    };
    fresh.store.announce(&process).await.unwrap();
    fresh.store.close().await;
    migrate_down(url, 1).await.unwrap();
    let due = "SELECT count(*) FROM pg_indexes WHERE indexname = 'executions_due' AND indexdef LIKE '%(available_at)%'";
    assert_eq!(fresh.count(due).await, 1);
    migrate_up(url).await.unwrap();
    assert_eq!(fresh.count("SELECT count(*) FROM processes").await, 0);
    let store = open(url).await.unwrap();
    let claimed = store.claim_due(9, providers(), holder()).await.unwrap();
    assert_eq!((claimed.len(), claimed[0].fence.id), (1, queued.id), "what was queued is found by the new index");
    store.close().await;
    migrate_down(url, 0).await.unwrap();
    assert!(migrate_status(url).await.unwrap().iter().all(|migration| !migration.applied));
    let left = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
    assert_eq!(fresh.count(left).await, 1, "only the list of migrations stays");
    migrate_up(url).await.unwrap();
    open(url).await.unwrap();
    assert_eq!(reason(migrate_down(url, 99).await), Reason::InvalidField);
}

#[tokio::test]
async fn what_an_answer_tells_is_added_to_data_and_taken_away_again() {
    let fresh = Fresh::fresh().await;
    let url = fresh.database.url();
    run(&fresh, &an_execution(&fresh).await).await;
    fresh.store.close().await;
    migrate_down(url, 1).await.unwrap();
    let columns = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public'
        AND column_name IN ('response_model', 'retry_of', 'requests', 'cache_write_5m', 'cache_write_1h_tokens')";
    let held = "SELECT (SELECT count(*) FROM executions WHERE cached_prompt_tokens = 2)
        + (SELECT count(*) FROM execution_attempts WHERE response_tokens = 5)";
    assert_eq!((fresh.count(columns).await, fresh.count(held).await), (0, 2));
    migrate_up(url).await.unwrap();
    assert_eq!((fresh.count(columns).await, fresh.count(held).await), (6, 2));
    // A release that knows only the first migration goes on beside it, and writes rows without the new columns.
    assert_eq!(fresh.count("SELECT compatible_from::int8 FROM schema_compatibility WHERE version = 2").await, 1);
    let copy = "INSERT INTO execution_attempts (execution_id, number, worker, started_at, ended_at, error_message,
            provider_request_id)
        SELECT execution_id, 2, worker, started_at, ended_at, error_message, provider_request_id
        FROM execution_attempts";
    fresh.execute(copy.into()).await.unwrap();
    let store = open(url).await.unwrap();
    let project = store.project("default").await.unwrap().unwrap().id;
    let executions = store.list(project, &Default::default(), None, 9, false).await.unwrap().rows;
    let read = store.get(project, executions[0].id).await.unwrap();
    assert_eq!((read.response_model.as_str(), read.retry_of), ("", None));
    assert_eq!(read.attempt_log.iter().map(|attempt| attempt.requests).collect::<Vec<_>>(), [1, 0]);
}

#[tokio::test]
async fn two_processes_that_migrate_at_once_take_turns() {
    let database = services::database();
    let both = tokio::join!(migrate_up(database.url()), migrate_up(database.url()));
    both.0.unwrap();
    both.1.unwrap();
    open(database.url()).await.unwrap();
}

#[tokio::test]
async fn a_schema_that_does_not_fit_is_refused_with_what_to_do() {
    let database = services::database();
    let said = open(database.url()).await.unwrap_err().to_string();
    assert!(said.contains("prompt-ledger migrate"), "{said}");
    let status = migrate_status(database.url()).await.unwrap();
    assert!(status.iter().all(|migration| !migration.applied), "{status:?}");
    assert_eq!(services::sql(database.url(), "SELECT count(*) FROM pg_stat_user_tables").trim(), "0", "asking writes");
    migrate_up(database.url()).await.unwrap();
    services::sql(database.url(), "DELETE FROM schema_compatibility; INSERT INTO schema_compatibility VALUES (0, 0)");
    let said = open(database.url()).await.unwrap_err().to_string();
    assert!(said.contains("prompt-ledger migrate"), "{said}");
    let newer = "INSERT INTO schema_compatibility (version, compatible_from) VALUES (99, 98)";
    services::sql(database.url(), newer);
    let said = open(database.url()).await.unwrap_err().to_string();
    assert!(said.contains("start a newer release"), "{said}");
}

#[tokio::test]
async fn an_absent_database_is_unavailable_and_no_password_is_shown() {
    let url = "postgres://ada:hunter2@127.0.0.1:1/ledger";
    let error = open(url).await.unwrap_err();
    assert_eq!(error.reason(), Reason::StoreUnavailable);
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    let error = open("postgres://ada:hunter2@[").await.unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    let few = Postgres::open(url, PostgresOptions { connections: 12 }).await.unwrap_err();
    assert!(few.to_string().contains("at least 13"), "{few}");
}

#[tokio::test]
async fn everything_comes_back_by_itself_when_the_database_was_killed() {
    let mut service = Service::start().await;
    let database = services::database_on(&service.url());
    migrate_up(database.url()).await.unwrap();
    let fresh = Fresh { store: open(database.url()).await.unwrap(), database };
    let new = an_execution(&fresh).await;
    let project = new.project_id;
    submit(&fresh, &new).await;
    service.kill();
    let unavailable = fresh.store.prompt(project, "greet").await.unwrap_err();
    assert_eq!(unavailable.reason(), Reason::StoreUnavailable);
    assert_eq!(unavailable.parts().retry_after, Some(Duration::from_secs(1)));
    let another = NewExecution { id: ExecutionId(new_id()), ..new.clone() };
    assert_eq!(reason(fresh.store.submit(another.clone(), Duration::ZERO).await), Reason::StoreUnavailable);
    service.restart().await;
    // Each kind of call reconnects by itself.
    submit(&fresh, &another).await;
    assert_eq!(fresh.store.claim_due(9, providers(), holder()).await.unwrap(), []);
    assert_eq!(fresh.store.extend(&[], Duration::ZERO).await.unwrap(), []);
    get(&fresh, &new).await;
    register(&fresh, put_active("greet", "again")).await;
}

#[tokio::test]
async fn a_write_whose_connections_were_cut_is_repeated_and_counts_once() {
    let fresh = Fresh::fresh().await;
    let new = an_execution(&fresh).await;
    start(&fresh, &new).await;
    for round in 0..20 {
        let next =
            prompt_ledger_store::NewExecution { id: prompt_ledger_domain::ids::ExecutionId(new_id()), ..new.clone() };
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE application_name = 'prompt-ledger' AND datname = current_database()";
        let (recorded, _) = tokio::join!(submit(&fresh, &next), fresh.count(cut));
        assert!(matches!(recorded, prompt_ledger_store::Recorded::New(_)), "round {round}: {recorded:?}");
    }
    assert_eq!(fresh.count("SELECT count(*) FROM executions").await, 21);
    assert_eq!(fresh.count("SELECT count(*) FROM execution_events").await, 21);
}

#[tokio::test]
async fn a_text_with_nul_does_not_take_its_neighbours_with_it() {
    let fresh = Fresh::fresh().await;
    let new = an_execution(&fresh).await;
    start(&fresh, &new).await;
    let finish = prompt_ledger_store::Finish { response: "a\0b".into(), ..success() };
    let done = kit::finish(&fresh, &new, 1, finish).await;
    assert_eq!(done.texts.unwrap().response, "a\u{fffd}b");
}
