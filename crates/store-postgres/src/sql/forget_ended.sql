DELETE FROM usage_open_executions s WHERE NOT EXISTS (
    SELECT FROM executions e WHERE e.id = s.execution_id AND e.completed_at IS NULL)
