WITH free AS (
{free}
), taken AS (
    UPDATE executions e SET status = 'running', attempts = e.attempts + 1, worker = f.worker, claim_id = f.claim_id,
        lease_until = clock_timestamp() + f.lease * interval '1 microsecond', attempt_started_at = f.at,
        started_at = coalesce(e.started_at, f.at), available_at = NULL, last_sequence = e.last_sequence + 1
    FROM free f WHERE e.id = f.id
    RETURNING e.*, f.due_at
), events AS (
    INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt)
    SELECT id, last_sequence, attempt_started_at, 'queued', 'running', attempts FROM taken
)
