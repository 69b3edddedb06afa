SELECT e.created_at, e.prompt_id, e.version_id, e.provider, e.model_name, e.environment, e.prompt_mode, e.status,
    e.prompt_tokens, e.response_tokens, e.cost_nano_usd, e.latency_ms, e.project_id
