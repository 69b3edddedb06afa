SELECT created_at FROM executions INDEXED BY executions_project
    WHERE project_id = :project AND created_at >= :start AND created_at < :stop
    ORDER BY created_at LIMIT 1 OFFSET :skip
