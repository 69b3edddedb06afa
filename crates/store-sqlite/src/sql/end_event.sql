INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt, error_type)
SELECT x.id, x.last_sequence + 1, job.at, x.status, job.status, x.attempts, job.error_type
