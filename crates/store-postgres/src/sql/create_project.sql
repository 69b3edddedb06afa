INSERT INTO projects (id, name, created_at) VALUES (:id, :name, clock_timestamp())
    ON CONFLICT (name) DO NOTHING RETURNING id, name
