INSERT INTO execution_metadata (execution_id, project_id, key, value, created_at)
SELECT :id, :project_id, key, value, :created_at FROM json_each(:metadata)
