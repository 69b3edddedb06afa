INSERT INTO api_keys (id, name, prefix, hash, project_id, created_at)
    VALUES (:id, :name, :prefix, :hash, :project_id, clock_timestamp()) RETURNING *
