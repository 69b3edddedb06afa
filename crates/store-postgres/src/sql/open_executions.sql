INSERT INTO usage_open_executions (execution_id, project_id, created_at)
SELECT e.id, e.project_id, e.created_at
FROM projects j CROSS JOIN LATERAL (SELECT x.* FROM executions x
    WHERE x.project_id = j.id AND x.created_at >= :from AND x.created_at < :to OFFSET 0) e
WHERE e.completed_at IS NULL
