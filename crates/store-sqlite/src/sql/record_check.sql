SELECT 1 FROM prompt_versions v CROSS JOIN prompts p ON p.id = v.prompt_id
WHERE v.id = :version_id AND p.id = :prompt_id AND p.project_id = :project_id AND p.archived_at IS NULL
    AND p.mode = :prompt_mode
    AND (NOT :must_be_active OR p.active_version_number = v.version_number)
    AND (NOT :must_be_labelled OR p.labels -> :label ->> 0 = v.version_number)
    AND (:keys_revision IS NULL
        OR :keys_revision = (SELECT revision FROM revisions WHERE scope = 'keys')
        AND :models_revision = (SELECT revision FROM revisions WHERE scope = 'models')
        AND :project_revision = (SELECT revision FROM projects WHERE id = p.project_id))
