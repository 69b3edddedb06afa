INSERT INTO usage_open_executions (execution_id, project_id, created_at)
    SELECT id, project_id, created_at FROM executions INDEXED BY executions_project
    WHERE project_id = :project AND created_at >= :start AND created_at < :stop AND completed_at IS NULL
