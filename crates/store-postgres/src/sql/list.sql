SELECT w.* FROM executions w
WHERE {walk} AND w.created_at BETWEEN :first AND :last AND (w.created_at, w.id) < (:before_at, :before_id)
    AND (:environment = '' OR w.environment = :environment)
    AND (:statuses::text[] IS NULL OR w.status = ANY (:statuses))
    AND (:correlation_id = '' OR w.correlation_id = :correlation_id)
    AND (:label = '' OR w.label = :label) AND (:error_type = '' OR w.error_type = :error_type)
    AND (:provider = '' OR w.provider = :provider) AND (:model_name = '' OR w.model_name = :model_name)
    AND (:mode::text IS NULL OR w.mode = :mode)
    AND (:metadata::jsonb IS NULL OR NOT EXISTS (
        SELECT 1 FROM jsonb_each_text(:metadata::jsonb) AS k (key, value)
        WHERE NOT EXISTS (SELECT 1 FROM execution_metadata d
            WHERE d.execution_id = w.id AND d.key = k.key AND d.value = k.value)))
    AND w.project_id IS NOT DISTINCT FROM :project_id
    AND (:prompt = '' OR w.prompt_id IN (
        SELECT q.id FROM prompts q WHERE q.project_id = :project_id AND q.name = :prompt))
    AND (:version_number::int4 IS NULL OR w.version_id IN (
        SELECT u.id FROM prompts q JOIN prompt_versions u ON u.prompt_id = q.id
        WHERE q.project_id = :project_id AND q.name = :prompt AND u.version_number = :version_number))
ORDER BY w.created_at DESC, w.id DESC LIMIT :most
