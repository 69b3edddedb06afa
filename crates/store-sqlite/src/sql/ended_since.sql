SELECT s.execution_id FROM usage_open_executions s LEFT JOIN executions e ON e.id = s.execution_id
    WHERE e.id IS NULL OR e.completed_at IS NOT NULL LIMIT :most
