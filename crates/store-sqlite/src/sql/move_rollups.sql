INSERT INTO usage_rolled_up (project_id, until) VALUES (:project, :until)
    ON CONFLICT (project_id) DO UPDATE SET until = excluded.until
