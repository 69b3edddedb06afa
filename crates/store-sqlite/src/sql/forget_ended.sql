DELETE FROM usage_open_executions WHERE execution_id = :id AND NOT EXISTS
    (SELECT 1 FROM executions e WHERE e.id = execution_id AND e.completed_at IS NULL)
