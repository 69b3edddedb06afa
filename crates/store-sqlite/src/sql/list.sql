WHERE {walk} AND x.created_at BETWEEN :earliest AND :latest AND (+x.created_at, x.id) < (:before_at, :before_id)
    AND x.project_id = :project_id AND (:environment = '' OR x.environment = :environment)
    AND (:statuses IS NULL OR x.status IN (SELECT value FROM json_each(:statuses)))
    AND (:correlation_id = '' OR x.correlation_id = :correlation_id)
    AND (NOT :narrows OR (:label = '' OR x.label = :label) AND (:error_type = '' OR x.error_type = :error_type)
        AND (:provider = '' OR +x.provider = :provider) AND (:model_name = '' OR x.model_name = :model_name)
        AND (:mode IS NULL OR x.mode = :mode)
        AND (:metadata IS NULL OR NOT EXISTS (
            SELECT 1 FROM json_each(:metadata) k WHERE NOT EXISTS (SELECT 1 FROM execution_metadata d
                WHERE d.execution_id = x.id AND d.key = k.key AND d.value = k.value))))
    AND (:prompt IS NULL OR x.prompt_id = :prompt) AND (:version IS NULL OR x.version_id = :version)
    AND (:number IS NULL OR x.version_environment = :number)
ORDER BY x.created_at DESC, x.id DESC LIMIT :most
