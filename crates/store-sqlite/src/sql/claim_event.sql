INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt)
SELECT x.id, x.last_sequence, :at, 'queued', 'running', x.attempts FROM executions x
