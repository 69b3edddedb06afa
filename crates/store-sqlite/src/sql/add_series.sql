INSERT INTO usage_series
    (project_id, prompt_id, version_id, provider, model_name, environment, prompt_mode, status)
    VALUES (:project, :prompt, :version, :provider, :model, :environment, :mode, :status) RETURNING id
