SELECT last_sequence, worker, attempt_started_at FROM executions
WHERE id = :id AND attempts = :attempt AND status = 'running'
