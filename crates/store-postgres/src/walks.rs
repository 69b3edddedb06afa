//! Tests how many executions the database reads for a list, with the plans that it keeps: those of an empty table, and those
//! that it makes once the table is full.

use prompt_ledger_domain::ids::ProjectId;
use prompt_ledger_store::ExecutionFilter;
use prompt_ledger_store_conformance::filters::{found_by, has_index, of_executions, rare};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgPool};

use super::list::{PostgresPage, list};
use super::migrate_up;
use super::watched_pool::WatchedPool;
use prompt_ledger_store::rows::request::stored_metadata;

/// Rows of a page.
const LIMIT: usize = 10;

/// Two prompts of two versions.
const PROMPTS: &str = "
    INSERT INTO prompts (id, project_id, name, mode, description, owner_team, tags, active_version_number,
        latest_version_number, revision, created_at, updated_at)
    SELECT gen_random_uuid(), j.id, p, 'full', '', '', '[]', 2, 2, 1, now(), now()
    FROM projects j, unnest(ARRAY['p1', 'p2']) p;
    INSERT INTO prompt_versions (id, prompt_id, version_number, status, template_source, template_format,
        checksum_hash, variables, created_by, created_at, source_repository, source_commit, source_path)
    SELECT gen_random_uuid(), p.id, n, 'active', '', 'handlebars', n, '[]', '', now(), '', '', ''
    FROM prompts p, generate_series(1, 2) n";

/// Executions that were read so far.
const READ: &str = "SELECT (coalesce(idx_tup_fetch, 0) + seq_tup_read)::int8 FROM pg_stat_user_tables
    WHERE relname = 'executions'";

struct Filled {
    /// One connection, which keeps its plans.
    pool: PgPool,
    project: ProjectId,
}

impl Filled {
    async fn fill(&self, count: i64, first: i64, of: &ExecutionFilter) {
        let fill = sqlx::query(include_str!("sql/fill_walks.sql")).bind(count).bind(first).bind(found_by(of));
        fill.execute(&self.pool).await.unwrap();
    }

    async fn read_so_far(&self) -> i64 {
        self.pool.execute("SELECT pg_stat_force_next_flush()").await.unwrap();
        sqlx::query_scalar(READ).fetch_one(&self.pool).await.unwrap()
    }

    /// Executions that the first page read, the number of its rows, and whether it ends before it has found all.
    async fn page(&self, filter: &ExecutionFilter) -> (i64, usize, bool) {
        let metadata = stored_metadata(&filter.metadata).unwrap();
        let page = PostgresPage { project: self.project, filter, before: None, limit: LIMIT, texts: false, metadata };
        let before = self.read_so_far().await;
        let listed = list(&WatchedPool::new(self.pool.clone()), page).await.unwrap();
        (self.read_so_far().await - before, listed.rows.len(), listed.stopped.is_some())
    }
}

#[tokio::test]
async fn a_list_reads_a_bounded_number_of_executions_whatever_two_filters_it_has() {
    let url = std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL names no server: run `cargo xtask test`");
    let server: PgConnectOptions = url.parse().unwrap();
    let mut operator = server.connect().await.unwrap();
    let name = format!("ledger_walks_{}", std::process::id());
    operator.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    let own = server.clone().database(&name);
    migrate_up(own.to_url_lossy().as_str()).await.unwrap();
    let pool = PgPoolOptions::new().max_connections(1).connect_with(own).await.unwrap();
    // Of the role's time-outs; a list begins with its own.
    pool.execute("SET statement_timeout = 0").await.unwrap();
    pool.execute(PROMPTS).await.unwrap();
    let project = sqlx::query_scalar("SELECT id FROM projects").fetch_one(&pool).await.unwrap();
    let filled = Filled { pool, project: ProjectId(project) };

    let combinations = of_executions(&rare());
    let mut wrong = Vec::new();
    for (names, filter) in &combinations {
        assert_eq!(filled.page(filter).await, (0, 0, false), "{names}");
    }
    // A few that every filter finds, and after them many that none does.
    filled.fill(20, 0, &rare()).await;
    filled.fill(5_000, 2_000_000, &ExecutionFilter::default()).await;
    for plans in ["an empty table", "a full one"] {
        for (names, filter) in combinations.iter().filter(|(names, _)| has_index(names)) {
            let (read, listed, stopped) = filled.page(filter).await;
            if listed != LIMIT || stopped || read > 200 {
                wrong.push(format!("{names}: {read} for {listed}, stopped {stopped}, by the plans of {plans}"));
            }
        }
        filled.pool.execute("ANALYZE").await.unwrap();
    }
    // Many that one filter finds: of two filters, any index has much that the other leaves out.
    for ((_, filter), place) in combinations.iter().filter(|(names, _)| !names.contains(" and ")).zip(1..) {
        let first = if filter.end_time.is_some() { 10_000 } else { 2_000_000 + place * 10_000 };
        filled.fill(3_000, first, filter).await;
    }
    let mut most = 0;
    for plans in ["a small table", "a full one"] {
        for (names, filter) in &combinations {
            let (read, listed, stopped) = filled.page(filter).await;
            most = most.max(read);
            // A thousand, and those of the page again; the table has 44,000.
            if read > 1_200 || (has_index(names) && (listed != LIMIT || stopped)) {
                wrong.push(format!("{names}: {read} for {listed}, stopped {stopped}, by the plans of {plans}"));
            }
        }
        filled.pool.execute("ANALYZE").await.unwrap();
    }
    filled.pool.close().await;
    operator.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(most > 900, "none of them went far: {most}");
}
