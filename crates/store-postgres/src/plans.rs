//! Tests that each statement uses its index, according to the database's generic plan.

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection};

use super::{
    analytics, cancel, claim, executions, expire, finish, lease, list, migrate_up, read, record, register_code,
    registry_feed, roll_up,
};

/// 20,000 executions, of which 200 are queued and 200 running.
const FILL: &str = include_str!("sql/fill_plans.sql");

/// The time-outs of the role are for the store; its planner settings are what is tested.
const SETTINGS: &str = "SET statement_timeout = 0; SET lock_timeout = 0";

/// The indexes of `executions` besides its primary key.
const OF_EXECUTIONS: [&str; 13] = [
    "executions_idempotency_key",
    "executions_project",
    "executions_live",
    "executions_ended",
    "executions_ended_prompt",
    "executions_ended_version",
    "executions_environment",
    "executions_model",
    "executions_label",
    "executions_error",
    "executions_correlation",
    "executions_due",
    "executions_expiry",
];

async fn plan(connection: &mut PgConnection, sql: &str) -> String {
    let parameters = (1..).take_while(|number| sql.contains(&format!("${number}"))).count();
    let nothing = match parameters {
        0 => String::new(),
        _ => format!("({})", vec!["NULL"; parameters].join(", ")),
    };
    connection.execute(AssertSqlSafe(format!("PREPARE asked AS {sql}"))).await.unwrap();
    let explain = AssertSqlSafe(format!("EXPLAIN (COSTS OFF) EXECUTE asked {nothing}"));
    let lines: Vec<String> = sqlx::query_scalar(explain).fetch_all(&mut *connection).await.unwrap();
    connection.execute("DEALLOCATE asked").await.unwrap();
    lines.join("\n")
}

#[tokio::test]
async fn every_statement_walks_its_index() {
    let url = std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL names no server: run `cargo xtask test`");
    let server: PgConnectOptions = url.parse().unwrap();
    let mut operator = server.connect().await.unwrap();
    let name = format!("ledger_plans_{}", std::process::id());
    operator.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    let own = server.clone().database(&name);
    migrate_up(own.to_url_lossy().as_str()).await.unwrap();
    let mut connection = own.connect().await.unwrap();
    connection.execute(SETTINGS).await.unwrap();

    // A plan made while the tables are empty stays in use when they are full.
    let mut wrong = wrong_plans(&mut connection).await;
    connection.execute(FILL).await.unwrap();
    wrong.extend(wrong_plans(&mut connection).await);
    drop(connection);
    operator.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

async fn wrong_plans(connection: &mut PgConnection) -> Vec<String> {
    let mut wrong = Vec::new();
    for (sql, index) in [
        (record::RECORD.as_str(), "prompt_versions_pkey"),
        (record::LOSERS.as_str(), "executions_idempotency_key"),
        (record::BY_KEY, "executions_idempotency_key"),
        (record::FREE_KEY.as_str(), "executions_pkey"),
        (record::NAME_RETRIED.as_str(), "executions_pkey"),
        (claim::HINTED.as_str(), "executions_pkey"),
        (claim::DUE.as_str(), "executions_due"),
        (claim::CLAIMED.as_str(), "executions_live"),
        (finish::END.as_str(), "executions_pkey"),
        (finish::WRITTEN.as_str(), "execution_attempts_pkey"),
        (cancel::CANCEL.as_str(), "executions_pkey"),
        (cancel::CANCELED_OF.as_str(), "executions_pkey"),
        (lease::EXTEND.as_str(), "executions_pkey"),
        (lease::STILL_HELD.as_str(), "executions_pkey"),
        (expire::LEFT_BEHIND.as_str(), "executions_expiry"),
        (expire::EXPIRE.as_str(), "executions_pkey"),
        (executions::QUEUED, "executions_due"),
        (read::WHOLE, "executions_pkey"),
        (read::WHOLE_OF[1], "executions_pkey"),
        (read::EVENTS.as_str(), "execution_events_pkey"),
        (read::EVENTS_AFTER, "execution_events_pkey"),
        (read::EVENTS_BETWEEN.as_str(), "execution_events_at"),
        (register_code::READ.as_str(), "prompts_project_id_name_key"),
        (register_code::READ.as_str(), "prompt_versions_prompt_id_checksum_hash_key"),
        (registry_feed::CHANGED_AFTER.as_str(), "prompts_revision"),
        (registry_feed::PROMPTS_NAMED, "prompts_project_id_name_key"),
        (registry_feed::VERSIONS_NUMBERED, "prompt_versions_prompt_id_version_number_key"),
        (analytics::NAMED.as_str(), "prompts_project_id_name_key"),
        (analytics::PROMPTS, "prompts_project_id_name_key"),
        (analytics::USAGE.as_str(), "executions_project"),
        (analytics::USAGE.as_str(), "usage_rollups_pkey"),
        (analytics::USAGE.as_str(), "usage_open_executions_time"),
        (roll_up::AFTER_CROWD.as_str(), "executions_project"),
        (roll_up::SLICE.as_str(), "executions_project"),
        (roll_up::LEAVE.as_str(), "executions_project"),
        (roll_up::LATE.as_str(), "executions_pkey"),
        (roll_up::DONE, "executions_pkey"),
        (roll_up::SHORTER.as_str(), "usage_rollups_pkey"),
        (roll_up::PRESENT.as_str(), "usage_rollups_pkey"),
    ] {
        // Expiry uses two indexes, and figures read executions besides rollups.
        let strays = usize::from(index == "executions_expiry" || index.starts_with("usage_"));
        wrong.extend(wrong_plan(connection, sql, &[index], strays).await);
    }
    for (statements, indexes) in list::shapes() {
        for sql in statements {
            wrong.extend(wrong_plan(connection, sql, indexes, 0).await);
        }
    }
    wrong
}

/// The plan of a statement, unless executions are found in it by their primary key and each of these indexes only, but for
/// so many others.
async fn wrong_plan(connection: &mut PgConnection, sql: &str, indexes: &[&str], strays: usize) -> Option<String> {
    let plan = plan(connection, sql).await;
    let walks_all = ["Seq Scan", "Hash Join", "Merge Join"].iter().any(|way| plan.contains(way));
    // As a plan names it: some names begin with another.
    let used = |index: &str| plan.split_whitespace().any(|word| word == index);
    let others = OF_EXECUTIONS.iter().filter(|other| !indexes.contains(other) && used(other)).count();
    let fine = !walks_all && others <= strays && indexes.iter().all(|index| used(index));
    (!fine).then(|| format!("{indexes:?} are not walked by {sql}\n{plan}"))
}
