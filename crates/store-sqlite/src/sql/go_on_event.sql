INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt, error_type, next_attempt_at)
SELECT id, last_sequence + 1, :at, status, iif(cancel_requested_at IS NULL, :next, 'canceled'), attempts,
    iif(cancel_requested_at IS NULL, :error_type, NULL), iif(cancel_requested_at IS NULL, :next_at, NULL)
FROM executions WHERE id = :id AND attempts = :attempt AND status = 'running'
