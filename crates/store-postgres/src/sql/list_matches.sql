w.project_id = :project_id AND (:statuses::text[] IS NULL OR w.status = ANY (:statuses))
            AND (:environment = '' OR w.environment = :environment)
            AND (:correlation_id = '' OR w.correlation_id = :correlation_id)
            AND (:label = '' OR w.label = :label) AND (:error_type = '' OR w.error_type = :error_type)
            AND (:provider = '' OR w.provider = :provider) AND (:model_name = '' OR w.model_name = :model_name)
            AND (:mode::text IS NULL OR w.mode = :mode)
            AND (:prompt = '' OR w.prompt_id = (
                SELECT q.id FROM prompts q WHERE q.project_id = :project_id AND q.name = :prompt))
            AND (:version_number::int4 IS NULL OR w.version_id = (
                SELECT u.id FROM prompt_versions u WHERE u.version_number = :version_number AND u.prompt_id = (
                    SELECT q.id FROM prompts q WHERE q.project_id = :project_id AND q.name = :prompt)))
            AND (:unchecked::int8 = 0 OR NOT EXISTS (
                SELECT 1 FROM jsonb_each_text(:metadata::jsonb) AS f (key, value)
                WHERE NOT EXISTS (SELECT 1 FROM execution_metadata d
                    WHERE d.execution_id = w.id AND d.key = f.key AND d.value = f.value)))
