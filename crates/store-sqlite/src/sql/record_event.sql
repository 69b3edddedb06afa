INSERT INTO execution_events (execution_id, sequence, at, from_status, to_status, attempt)
SELECT x.id, 1, job.at, NULL, job.status, job.attempt
FROM job CROSS JOIN executions x ON x.id = job.id WHERE true
ON CONFLICT DO NOTHING
