INSERT INTO usage_open_executions (execution_id, project_id, created_at)
    VALUES (:id, :project_id, :created_at)
