WITH held AS (
    SELECT e.id FROM unnest(:rows) AS n (id, attempt) JOIN executions e ON e.id = n.id
    WHERE e.attempts = n.attempt AND e.status IS NOT DISTINCT FROM 'running'
    ORDER BY e.id FOR NO KEY UPDATE OF e SKIP LOCKED
)
UPDATE executions e SET lease_until = clock_timestamp() + :lease * interval '1 microsecond'
FROM held h WHERE e.id = h.id
RETURNING e.id, e.attempts, e.cancel_requested_at IS NOT NULL AS cancel_requested
