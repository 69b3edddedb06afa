WITH found AS (
    SELECT e.id, e.status = 'queued' AS ends, clock_timestamp() AS at FROM executions e
    WHERE e.id = :id AND e.project_id IS NOT DISTINCT FROM :project_id
            AND e.status IN ('queued', 'running') AND e.cancel_requested_at IS NULL
    FOR NO KEY UPDATE OF e
), asked AS (
    UPDATE executions e SET cancel_requested_at = f.at, cancel_reason = :reason,
        status = CASE WHEN f.ends THEN 'canceled' ELSE e.status END,
        completed_at = CASE WHEN f.ends THEN f.at END,
        available_at = CASE WHEN NOT f.ends THEN e.available_at END,
        last_sequence = e.last_sequence + f.ends::int4,
        cost_nano_usd = CASE WHEN f.ends THEN {cost} END
    FROM found f WHERE e.id = f.id
    RETURNING e.id, e.last_sequence, e.attempts, f.ends, f.at
)
INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt)
SELECT id, last_sequence, at, 'queued', 'canceled', attempts FROM asked WHERE ends
RETURNING sequence, at, from_status, to_status, attempt, error_type, next_attempt_at
