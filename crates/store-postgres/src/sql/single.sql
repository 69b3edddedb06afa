SELECT e.created_at, e.prompt_id, e.version_id, e.provider, e.model_name, e.environment COLLATE "C",
        e.prompt_mode COLLATE "C", e.status COLLATE "C", 1::int8, coalesce(e.prompt_tokens, 0)::int8,
        coalesce(e.response_tokens, 0)::int8, (e.cost_nano_usd IS NOT NULL)::int4::int8,
        coalesce(e.cost_nano_usd, 0)::numeric, coalesce(e.latency_ms, 0)::int8, NULL::bytea, int4send(e.latency_ms)
