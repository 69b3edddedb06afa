INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt, error_type)
SELECT id, last_sequence + 1, :at, status, :status, attempts, :error_type
FROM executions WHERE id = :id AND attempts = :attempt AND status = 'running'
