(SELECT e.id, e.status, e.mode, e.attempts, e.handed_back, e.max_retries, e.last_sequence,
    e.cancel_requested_at IS NOT NULL AS cancel_requested, coalesce(e.expire_at <= clock_timestamp(), false) AS expired
FROM executions e
WHERE e.status = 'running' AND e.completed_at IS NULL AND e.status <> 'succeeded' AND e.lease_until <= (SELECT clock_timestamp())
    AND (SELECT clock_timestamp() - pg_postmaster_start_time()) >= :lease * interval '1 microsecond'
LIMIT :most)
UNION ALL
(SELECT e.id, e.status, e.mode, e.attempts, e.handed_back, e.max_retries, e.last_sequence,
    e.cancel_requested_at IS NOT NULL AS cancel_requested, coalesce(e.expire_at <= clock_timestamp(), false) AS expired
FROM executions e
WHERE e.status = 'queued' AND e.expire_at <= (SELECT clock_timestamp())
    AND (SELECT clock_timestamp() - pg_postmaster_start_time()) >= :lease * interval '1 microsecond'
LIMIT :most)
LIMIT :most
