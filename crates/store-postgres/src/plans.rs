//! Tests that each statement uses its index, according to the database's generic plan.

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection};

use super::{
    analytics, cancel, claim, executions, expire, finish, lease, list, migrate_up, read, record, register_code, roll_up,
};

/// 20,000 executions, of which 200 are queued and 200 running.
const FILL: &str = "
    INSERT INTO prompts (id, project_id, name, mode, description, owner_team, tags, active_version_number,
        latest_version_number, revision, created_at, updated_at)
    SELECT gen_random_uuid(), j.id, 'p' || n, 'full', '', '', '[]', 1, 1, 1, now(), now()
    FROM projects j, generate_series(1, 50) n;
    INSERT INTO prompt_versions (id, prompt_id, version_number, status, template_source, template_format,
        checksum_hash, variables, created_by, created_at, source_repository, source_commit, source_path)
    SELECT gen_random_uuid(), p.id, 1, 'active', '', 'handlebars', '', '[]', '', now(), '', '', '' FROM prompts p;
    INSERT INTO executions (id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider,
        model_name, correlation_id, idempotency_key, request_hash, prompt_truncated, timeout_micros, max_retries,
        attempts, claim_id, lease_until, available_at, expire_at, last_sequence, created_at, completed_at)
    SELECT gen_random_uuid(), p.project_id, p.id, v.id, 'full', 'async', s.status, 'dev', 'echo', 'echo', 'c' || n,
        'k' || n, '\\x00', false, 1, 0, 0, gen_random_uuid(), now(), now(), now(), 1, now() - n * interval '1 second',
        CASE WHEN s.status NOT IN ('queued', 'running') THEN now() END
    FROM prompts p JOIN prompt_versions v ON v.prompt_id = p.id, generate_series(1, 400) n,
        LATERAL (SELECT CASE WHEN n % 100 = 0 THEN 'queued' WHEN n % 100 = 1 THEN 'running' WHEN n % 100 = 2
            THEN 'failed' ELSE 'succeeded' END AS status) s;
    INSERT INTO execution_events (execution_id, sequence, at, to_status, attempt)
    SELECT id, 1, created_at, 'queued', 0 FROM executions;
    INSERT INTO execution_attempts (execution_id, number, worker, started_at, ended_at, error_message,
        provider_request_id) SELECT id, 1, '', now(), now(), '', '' FROM executions;
    INSERT INTO execution_inputs (execution_id, rendered_prompt, variables) SELECT id, '', '' FROM executions;
    INSERT INTO usage_rollups SELECT project_id, prompt_id, s, created_at, version_id, provider, model_name, environment,
        prompt_mode, status, 1, 0, 0, 0, 0, 0, '' FROM executions, unnest(ARRAY[1, 60, 1440]) s;
    INSERT INTO usage_open_executions SELECT id, project_id, created_at FROM executions WHERE completed_at IS NULL;
    ANALYZE";

/// The planner settings of the store's connections.
const SETTINGS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off;
    SET enable_mergejoin = off";

/// The indexes of `executions` besides its primary key.
const OF_EXECUTIONS: [&str; 8] = [
    "executions_idempotency_key",
    "executions_project",
    "executions_prompt",
    "executions_version",
    "executions_status",
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
        (claim::HINTED.as_str(), "executions_pkey"),
        (claim::DUE.as_str(), "executions_due"),
        (claim::CLAIMED.as_str(), "executions_status"),
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
        (read::EVENTS, "execution_events_pkey"),
        (read::EVENTS_AFTER, "execution_events_pkey"),
        (read::EVENTS_BETWEEN, "execution_events_at"),
        (register_code::READ.as_str(), "prompts_project_id_name_key"),
        (register_code::READ.as_str(), "prompt_versions_prompt_id_checksum_hash_key"),
        (list::OF_PROJECT[1], "executions_project"),
        (list::OF_PROMPT[1], "executions_prompt"),
        (list::OF_VERSION[1], "executions_version"),
        (list::OF_CORRELATION[1], "executions_correlation"),
        (list::OF_STATUSES[1], "executions_status"),
        (analytics::NAMED, "prompts_project_id_name_key"),
        (analytics::PROMPTS, "prompts_project_id_name_key"),
        (analytics::USAGE.as_str(), "executions_project"),
        (analytics::USAGE.as_str(), "usage_rollups_pkey"),
        (analytics::USAGE.as_str(), "usage_open_executions_time"),
        (roll_up::AFTER_CROWD, "executions_project"),
        (roll_up::SLICE.as_str(), "executions_project"),
        (roll_up::LEAVE, "executions_project"),
        (roll_up::LATE.as_str(), "executions_pkey"),
        (roll_up::DONE, "executions_pkey"),
        (roll_up::SHORTER, "usage_rollups_pkey"),
        (roll_up::PRESENT.as_str(), "usage_rollups_pkey"),
    ] {
        let plan = plan(connection, sql).await;
        let walks_all = ["Seq Scan", "Hash Join", "Merge Join"].iter().any(|way| plan.contains(way));
        // An execution is found by its primary key or the expected index only. Expiry uses two indexes, and figures
        // read executions besides rollups.
        let others = OF_EXECUTIONS.iter().filter(|other| **other != index && plan.contains(**other)).count();
        let strays = others > usize::from(index == "executions_expiry" || index.starts_with("usage_"));
        if walks_all || strays || !plan.contains(index) {
            wrong.push(format!("{index} is not walked by {sql}\n{plan}"));
        }
    }
    wrong
}
