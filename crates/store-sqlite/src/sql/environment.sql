SELECT id FROM version_environments
    WHERE prompt_id = :prompt_id AND version_id = :version_id AND environment = :environment
