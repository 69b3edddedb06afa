SELECT w.* FROM executions w
WHERE {walk} AND w.created_at BETWEEN :first AND :last AND (w.created_at, w.id) < (:before_at, :before_id)
    AND (:environment = '' OR w.environment = :environment)
    AND (:statuses::text[] IS NULL OR w.status = ANY (:statuses))
    AND (:correlation_id = '' OR w.correlation_id = :correlation_id)
    AND w.project_id IS NOT DISTINCT FROM :project_id
    AND (:prompt = '' OR w.prompt_id IN (
        SELECT q.id FROM prompts q WHERE q.project_id = :project_id AND q.name = :prompt))
    AND (:version_number::int4 IS NULL OR w.version_id IN (
        SELECT u.id FROM prompts q JOIN prompt_versions u ON u.prompt_id = q.id
        WHERE q.project_id = :project_id AND q.name = :prompt AND u.version_number = :version_number))
ORDER BY w.created_at DESC, w.id DESC LIMIT :most
