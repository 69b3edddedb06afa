//! Tests how many steps SQLite's virtual machine takes for a list or a claim: whatever the filter, not more where there
//! are many more executions.

use std::time::Duration;

use prompt_ledger_domain::execution::Status;
use prompt_ledger_domain::ids::{ClaimId, ProjectId};
use prompt_ledger_domain::{Timestamp, VariantArray as _};
use prompt_ledger_store::{ExecutionFilter, Holder};
use rusqlite::{Connection, StatementStatus};
use uuid::Uuid;

use super::claim;
use super::list::{SqlitePage, list, scripts, walks};
use super::plans::database;
use super::statement::Script;

const PROJECT: &str = "01900000-0000-7000-8000-000000000001";

/// Rows of a page.
const LIMIT: usize = 10;

/// Two prompts of two versions.
const PROMPTS: &str = "
    INSERT INTO prompts (id, project_id, name, mode, description, owner_team, tags, active_version_number,
        latest_version_number, revision, created_at, updated_at)
    SELECT '00000000-0000-7000-8000-00000000000' || key, '01900000-0000-7000-8000-000000000001', value, 'full', '', '', '[]', 2, 2, 1, 0, 0
    FROM json_each('[\"p1\", \"p2\"]');
    INSERT INTO prompt_versions (id, prompt_id, version_number, status, template_source, template_format,
        checksum_hash, variables, created_by, created_at, source_repository, source_commit, source_path)
    SELECT replace(p.id, '-8000-', '-900' || n.value || '-'), p.id, n.value, 'active', '', 'handlebars', n.value, '[]', '', 0, '', '', ''
    FROM prompts p CROSS JOIN json_each('[1, 2]') n;
    INSERT INTO version_environments (prompt_id, version_id, environment)
    SELECT v.prompt_id, v.id, e.value FROM prompt_versions v CROSS JOIN json_each('[\"\", \"prod\", \"canary\"]') e";

/// `?1` executions, the first at microsecond `?2`, of each combination of these prompts, versions, statuses and
/// environments.
const FILL: &str = "
    WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < ?1)
    INSERT INTO executions (id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider,
        model_name, prompt_truncated, timeout_micros, max_retries, attempts, last_sequence, created_at, completed_at,
        version_environment)
    SELECT lower(printf('%08x-0000-7000-8000-%012x', ?2 + n, random() & 0xffffffffffff)),
        '01900000-0000-7000-8000-000000000001', v.prompt_id, v.id, 'full', 'async', s.value, e.value, 'openai', 'a', 0, 0,
        0, 1, 1, ?2 + n, iif(s.value IN ('queued', 'running'), NULL, ?2 + n), w.id
    FROM n CROSS JOIN prompts p CROSS JOIN prompt_versions v ON v.prompt_id = p.id CROSS JOIN json_each(?4) s
        CROSS JOIN json_each(?5) e CROSS JOIN version_environments w ON w.version_id = v.id AND w.environment = e.value
    WHERE p.name IN (SELECT value FROM json_each(?3))";

fn fill(connection: &Connection, count: i64, first: i64, [prompts, statuses, environments]: [&str; 3]) {
    connection.execute(FILL, (count, first, prompts, statuses, environments)).unwrap();
}

/// Every combination of prompt and version, statuses, environment and time span.
fn filters() -> Vec<ExecutionFilter> {
    let statuses: Vec<Vec<Status>> = (0..1 << Status::VARIANTS.len())
        .map(|set: u32| {
            (0..).zip(Status::VARIANTS).filter(|(bit, _)| set >> bit & 1 == 1).map(|(_, status)| *status).collect()
        })
        .collect();
    let mut filters = Vec::new();
    for (prompt_name, version_number) in [("", None), ("p1", None), ("p1", Some(1)), ("p1", Some(2)), ("p2", Some(1))] {
        for statuses in &statuses {
            for environment in ["", "prod", "canary", "nowhere"] {
                for (start, end) in [(None, None), (None, Some(100)), (Some(50), None)] {
                    filters.push(ExecutionFilter {
                        prompt_name: prompt_name.into(),
                        version_number,
                        statuses: statuses.clone(),
                        environment: environment.into(),
                        start_time: start.map(Timestamp),
                        end_time: end.map(Timestamp),
                        ..ExecutionFilter::default()
                    });
                }
            }
        }
    }
    filters
}

/// Steps of the first page, and the number of its rows.
fn steps(connection: &Connection, filter: &ExecutionFilter) -> (i64, usize) {
    let project = ProjectId(Uuid::parse_str(PROJECT).unwrap());
    taken(connection);
    let listed = list(connection, &SqlitePage { project, filter, before: None, limit: LIMIT, texts: false }).unwrap();
    (taken(connection), listed.len())
}

/// Steps that the statements of lists took since the last call. The connection keeps them, with their counters.
fn taken(connection: &Connection) -> i64 {
    let all = walks().into_iter().map(|(script, _)| script).chain(scripts());
    let steps = |sql| connection.prepare_cached(sql).unwrap().reset_status(StatementStatus::VmStep);
    all.flat_map(|script| script.texts()).map(|sql| i64::from(steps(sql))).sum()
}

#[test]
fn a_list_takes_no_more_steps_where_there_are_many_more_executions() {
    let (_directory, connection) = database();
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    connection.execute_batch(PROMPTS).unwrap();
    let all = r#"["queued", "running", "succeeded", "failed", "canceled"]"#;
    // A few of everything, and after them many that have ended: of each status alone in another environment, so that
    // every filter has something that it must not walk.
    fill(&connection, 20, 0, [r#"["p1", "p2"]"#, all, r#"["", "prod", "canary"]"#]);
    assert!(steps(&connection, &ExecutionFilter::default()).0 > 100, "steps are counted");
    let before: Vec<_> = filters().iter().map(|filter| steps(&connection, filter)).collect();
    for (status, environment, first) in
        [("succeeded", "prod", 10_000), ("failed", "prod", 20_000), ("canceled", "", 30_000)]
    {
        fill(&connection, 2_000, first, [r#"["p1"]"#, &format!("[\"{status}\"]"), &format!("[\"{environment}\"]")]);
    }
    for (filter, (few, listed)) in filters().iter().zip(before) {
        let (many, now) = steps(&connection, filter);
        assert!(now >= listed, "{filter:?}");
        // What a page of ten costs, for each status that is walked.
        assert!(many <= few + 3_000, "{many} steps instead of {few}: {filter:?}");
    }
}

#[test]
fn a_claim_takes_no_more_steps_where_many_more_wait_for_other_providers() {
    let (_directory, connection) = database();
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    connection.execute_batch(PROMPTS).unwrap();
    let holder = || Holder { worker: "w".into(), claim_id: ClaimId(Uuid::from_u128(1)), lease: Duration::ZERO };
    let steps = || {
        let texts = || claim::scripts().into_iter().flat_map(Script::texts);
        let taken = || -> i64 {
            let steps = |sql| connection.prepare_cached(sql).unwrap().reset_status(StatementStatus::VmStep);
            texts().map(|sql| i64::from(steps(sql))).sum()
        };
        taken();
        assert!(!claim::any_due(&connection, r#"["echo", "azure"]"#).unwrap());
        assert_eq!(claim::due(&connection, LIMIT, r#"["echo", "azure"]"#, &holder()).unwrap(), []);
        taken()
    };
    let few = steps();
    assert!(few > 20, "steps are counted");
    fill(&connection, 2_000, 0, [r#"["p1", "p2"]"#, r#"["queued"]"#, r#"["prod"]"#]);
    let due = connection.execute("UPDATE executions SET available_at = created_at", []).unwrap();
    assert_eq!(due, 2_000 * 4);
    let many = steps();
    assert!(many <= few + 100, "{many} steps instead of {few}");
}
