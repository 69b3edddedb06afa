SELECT e.created_at, e.prompt_mode, CASE WHEN :by_prompt THEN (SELECT p.name FROM prompts p WHERE p.id = e.prompt_id) END,
    CASE WHEN :by_version THEN (SELECT v.version_number FROM prompt_versions v WHERE v.id = e.version_id) END,
    e.provider, e.model_name, e.environment, e.status,
    e.prompt_tokens, e.response_tokens, e.cost_nano_usd, e.latency_ms
FROM {from}
WHERE {of}.project_id = :project AND {of}.created_at >= :start AND {of}.created_at < :stop
    AND (:mode IS NULL OR e.prompt_mode = :mode) AND (:prompt IS NULL OR e.prompt_id = :prompt)
    AND (:version IS NULL OR e.version_id = :version) AND (:provider = '' OR e.provider = :provider)
    AND (:model = '' OR e.model_name = :model) AND (:environment = '' OR e.environment = :environment)
