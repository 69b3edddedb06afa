SELECT s.id, s.prompt_mode, p.name, v.version_number, s.provider, s.model_name, s.environment, s.status
FROM {from} LEFT JOIN prompt_versions v ON v.id = s.version_id
WHERE s.project_id = :project AND {of} AND (s.provider = '') = :totals
    AND (:mode IS NULL OR s.prompt_mode = :mode) AND (:version IS NULL OR s.version_id = :version)
    AND (:provider = '' OR s.provider = :provider) AND (:model = '' OR s.model_name = :model)
    AND (:environment = '' OR s.environment = :environment)
ORDER BY p.name
