SELECT u.project_id, u.prompt_id, u.span, u.start, u.version_id, u.provider, u.model_name, u.environment, u.prompt_mode,
    u.status, u.executions, u.prompt_tokens, u.response_tokens, u.with_cost, u.cost_nano_usd::text AS cost, u.latency_sum,
    u.latencies AS steps
