//! Tests how many steps SQLite's virtual machine takes for a list or a claim: by what has an index, not more where there are
//! many more executions; by any two filters, a bounded number.

use std::time::Duration;

use prompt_ledger_domain::execution::Status;
use prompt_ledger_domain::ids::{ClaimId, ProjectId};
use prompt_ledger_domain::{Timestamp, VariantArray as _};
use prompt_ledger_store::{ExecutionFilter, Holder};
use prompt_ledger_store_conformance::filters::{found_by, has_index, of_executions, rare};
use rusqlite::{Connection, StatementStatus};
use uuid::Uuid;

use super::claim;
use super::list::{SqlitePage, list, scripts};
use super::list_walks::{self, walks};
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

/// `?1` executions, the first at microsecond `?2`, of what `?3` says (`filters::found_by`).
const FILL: &str = "
    WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < ?1)
    INSERT INTO executions (id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider,
        model_name, correlation_id, label, error_type, prompt_truncated, timeout_micros, max_retries, attempts,
        last_sequence, created_at, completed_at, version_environment)
    SELECT lower(printf('%08x-0000-7000-8000-%012x', ?2 + n, random() & 0xffffffffffff)), p.project_id, p.id, v.id,
        'full', ?3 ->> 'mode', ?3 ->> 'status', ?3 ->> 'environment', ?3 ->> 'provider', ?3 ->> 'model_name',
        ?3 ->> 'correlation_id', ?3 ->> 'label', ?3 ->> 'error_type', 0, 0, 0, 1, 1, ?2 + n,
        iif(?3 ->> 'ended', ?2 + n, NULL), w.id
    FROM n CROSS JOIN prompts p CROSS JOIN prompt_versions v ON v.prompt_id = p.id
        CROSS JOIN version_environments w ON w.version_id = v.id
    WHERE p.name = ?3 ->> 'prompt' AND v.version_number = ?3 ->> 'version' AND w.environment = ?3 ->> 'environment';";

/// The metadata of the executions from microsecond `?1` on.
const ENTRIES: &str = "
    INSERT INTO execution_metadata (execution_id, project_id, key, value, created_at)
    SELECT x.id, x.project_id, k.key, k.value, x.created_at
    FROM executions x CROSS JOIN json_each(?2 -> 'metadata') k WHERE x.created_at >= ?1
    ON CONFLICT DO NOTHING";

fn fill(connection: &Connection, count: i64, first: i64, of: &ExecutionFilter) {
    let of = found_by(of);
    connection.execute(FILL, (count, first, &of)).unwrap();
    connection.execute(ENTRIES, (first, &of)).unwrap();
}

/// `count` executions of each combination of these prompts, versions 1 and 2, statuses and environments.
fn fill_each(connection: &Connection, count: i64, first: i64, of: (&[&str], &[Status], &[&str])) {
    for prompt in of.0 {
        for number in [1, 2] {
            for status in of.1 {
                for environment in of.2 {
                    let of = ExecutionFilter {
                        prompt_name: (*prompt).into(),
                        version_number: Some(number),
                        statuses: vec![*status],
                        environment: (*environment).into(),
                        ..ExecutionFilter::default()
                    };
                    fill(connection, count, first, &of);
                }
            }
        }
    }
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

/// Steps of the first page, the number of its rows, and whether it ends before it has found all.
fn steps(connection: &Connection, filter: &ExecutionFilter) -> (i64, usize, bool) {
    let project = ProjectId(Uuid::parse_str(PROJECT).unwrap());
    taken(connection);
    let page = SqlitePage { project, filter, before: None, limit: LIMIT, texts: false };
    let listed = list(connection, &page).unwrap();
    (taken(connection), listed.rows.len(), listed.stopped.is_some())
}

/// Steps that the statements of lists took since the last call. The connection keeps them, with their counters.
fn taken(connection: &Connection) -> i64 {
    let all = walks().into_iter().map(|(script, _)| script).chain(scripts()).chain(list_walks::scripts());
    let steps = |sql| connection.prepare_cached(sql).unwrap().reset_status(StatementStatus::VmStep);
    all.flat_map(|script| script.texts()).map(|sql| i64::from(steps(sql))).sum()
}

fn filled() -> (tempfile::TempDir, Connection) {
    let (directory, connection) = database();
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    connection.execute_batch(PROMPTS).unwrap();
    (directory, connection)
}

#[test]
fn a_list_takes_no_more_steps_where_there_are_many_more_executions() {
    let (_directory, connection) = filled();
    // A few of everything, and after them many that have ended: of each status alone in another environment, so that
    // every filter has something that it must not walk.
    fill_each(&connection, 20, 0, (&["p1", "p2"], Status::VARIANTS, &["", "prod", "canary"]));
    assert!(steps(&connection, &ExecutionFilter::default()).0 > 100, "steps are counted");
    let before: Vec<_> = filters().iter().map(|filter| steps(&connection, filter)).collect();
    for (status, environment, first) in
        [(Status::Succeeded, "prod", 10_000), (Status::Failed, "prod", 20_000), (Status::Canceled, "", 30_000)]
    {
        fill_each(&connection, 2_000, first, (&["p1"], &[status], &[environment]));
    }
    for (filter, (few, listed, _)) in filters().iter().zip(before) {
        let (many, now, stopped) = steps(&connection, filter);
        assert!(now >= listed && !stopped, "{filter:?}");
        // What a page of ten costs, for each status and mode that is walked.
        assert!(many <= few + 4_500, "{many} steps instead of {few}: {filter:?}");
    }
}

#[test]
fn a_list_looks_at_a_bounded_number_of_executions_whatever_two_filters_it_has() {
    let (_directory, connection) = filled();
    // A few that every filter finds, and after them many that none does.
    fill(&connection, 20, 0, &rare());
    fill(&connection, 5_000, 2_000_000, &ExecutionFilter::default());
    for (names, filter) in of_executions(&rare()).into_iter().filter(|(names, _)| has_index(names)) {
        let (steps, listed, stopped) = steps(&connection, &filter);
        assert!(listed == LIMIT && !stopped && steps < 5_000, "{steps} steps for {listed} by {names}");
    }
    // Many that one filter finds: of two filters, any index has much that the other leaves out.
    let alone: Vec<_> = of_executions(&rare()).into_iter().filter(|(names, _)| !names.contains(" and ")).collect();
    for ((_, filter), place) in alone.iter().zip(1..) {
        let first = if filter.end_time.is_some() { 10_000 } else { 2_000_000 + place * 10_000 };
        fill(&connection, 3_000, first, filter);
    }
    let mut most = 0;
    for (names, filter) in of_executions(&rare()) {
        let (steps, _, stopped) = steps(&connection, &filter);
        assert!(!stopped || !has_index(&names), "{names}");
        most = most.max(steps);
        // Some 60 for each of a thousand rows; the table has 44,000.
        assert!(steps < 90_000, "{steps} steps by {names}");
    }
    assert!(most > 20_000, "none of them walked far: {most}");
}

#[test]
fn a_claim_takes_no_more_steps_where_many_more_wait_for_other_providers() {
    let (_directory, connection) = filled();
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
    fill_each(&connection, 2_000, 0, (&["p1", "p2"], &[Status::Queued], &["prod"]));
    let due = connection.execute("UPDATE executions SET available_at = created_at", []).unwrap();
    assert_eq!(due, 2_000 * 4);
    let many = steps();
    assert!(many <= few + 100, "{many} steps instead of {few}");
}
