INSERT INTO version_environments (prompt_id, version_id, environment)
    VALUES (:prompt_id, :version_id, :environment) RETURNING id
