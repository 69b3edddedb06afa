INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt, error_type, next_attempt_at)
SELECT x.id, x.last_sequence + 1, job.at, x.status, iif(x.cancel_requested_at IS NULL, job.next, 'canceled'), x.attempts,
    iif(x.cancel_requested_at IS NULL, job.error_type, NULL), iif(x.cancel_requested_at IS NULL, job.next_at, NULL)
