WHERE {walk} AND x.created_at BETWEEN :earliest AND :latest AND (+x.created_at, x.id) < (:before_at, :before_id)
    AND x.project_id = :project_id AND (:environment = '' OR x.environment = :environment)
    AND (:statuses IS NULL OR x.status IN (SELECT value FROM json_each(:statuses)))
    AND (:correlation_id = '' OR x.correlation_id = :correlation_id)
    AND (:prompt IS NULL OR x.prompt_id = :prompt) AND (:version IS NULL OR x.version_id = :version)
    AND (:number IS NULL OR x.version_environment = :number)
ORDER BY x.created_at DESC, x.id DESC LIMIT :most
