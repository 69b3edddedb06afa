SELECT id FROM usage_series WHERE project_id = :project AND prompt_id = :prompt AND version_id = :version
    AND provider = :provider AND model_name = :model AND environment = :environment AND prompt_mode = :mode
    AND status = :status
