//! Invariants of every execution, whichever process was killed, checked on the tables.

use std::collections::HashSet;

use crate::kit::{Deployment, ended, greet, submit};

/// Executions whose events do not follow from one another, or that have no end or more than one.
const BROKEN_STORIES: &str = "
    WITH steps AS (
        SELECT execution_id, sequence, from_status, to_status, attempt,
            lag(to_status) OVER timeline AS before, lag(attempt) OVER timeline AS attempt_before,
            row_number() OVER timeline AS place
        FROM execution_events WINDOW timeline AS (PARTITION BY execution_id ORDER BY sequence)
    )
    SELECT execution_id, sequence FROM steps
    WHERE sequence <> place
        OR from_status IS DISTINCT FROM before
        OR before IN ('succeeded', 'failed', 'canceled')
        OR attempt < attempt_before
    UNION
    SELECT x.id, 0 FROM executions x LEFT JOIN steps s ON s.execution_id = x.id AND s.sequence = x.last_sequence
    WHERE s.to_status IS DISTINCT FROM x.status
        OR x.last_sequence <> (SELECT count(*) FROM execution_events e WHERE e.execution_id = x.id)
    UNION
    SELECT x.id, -1 FROM executions x
    WHERE x.attempts < (SELECT count(*) FROM execution_attempts a WHERE a.execution_id = x.id)
        OR EXISTS (SELECT 1 FROM execution_attempts a WHERE a.execution_id = x.id AND a.number > x.attempts)
        OR (x.status IN ('succeeded', 'failed', 'canceled')) <> (x.completed_at IS NOT NULL)";

/// The number of claims, each of which allowed one provider call.
const CLAIMS: &str = "SELECT coalesce(sum(attempts), 0) FROM executions";

/// The violations that an audit found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) lost: Vec<String>,
    pub(crate) broken: Vec<String>,
    pub(crate) calls_beyond_claims: usize,
}

/// Checks every execution that was acknowledged.
pub(crate) fn audit(deployment: &Deployment, acknowledged: &[String]) -> Findings {
    let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let finished = "SELECT id FROM executions WHERE status IN ('succeeded', 'failed', 'canceled')";
    let finished: HashSet<String> = lines(deployment.sql(finished)).into_iter().collect();
    let claims: usize = deployment.sql(CLAIMS).trim().parse().unwrap();
    Findings {
        lost: acknowledged.iter().filter(|id| !finished.contains(*id)).cloned().collect(),
        broken: lines(deployment.sql(BROKEN_STORIES)),
        calls_beyond_claims: deployment.model.calls().saturating_sub(claims),
    }
}

/// Waits for the end of all these executions, and asserts that the audit finds no violation.
pub(crate) async fn all_ended_well(
    deployment: &Deployment,
    server: &prompt_ledger_testkit::ledger::Ledger,
    acknowledged: &[String],
) {
    for id in acknowledged {
        ended(server, id).await;
    }
    assert_eq!(audit(deployment, acknowledged), Findings::default());
}

#[tokio::test]
async fn the_audit_sees_what_a_write_without_a_fence_does() {
    let deployment = Deployment::new().await;
    let (server, _worker) = deployment.pair().await;
    let id = submit(&server, greet()).await;
    all_ended_well(&deployment, &server, std::slice::from_ref(&id)).await;
    // What a worker without its lease would write, were the fence not in its statement.
    deployment.sql(
        "WITH x AS (UPDATE executions SET status = 'failed', last_sequence = last_sequence + 1 RETURNING *)
         INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt)
         SELECT id, last_sequence, clock_timestamp(), 'running', 'failed', attempts FROM x",
    );
    assert_eq!(audit(&deployment, &[id]).broken.len(), 1);
    assert_eq!(audit(&deployment, &["gone".to_owned()]).lost, ["gone"]);
}
