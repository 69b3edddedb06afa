(SELECT coalesce(json_agg(json_build_array(a.number, a.worker, (extract(epoch FROM a.started_at) * 1000000)::int8,
        (extract(epoch FROM a.ended_at) * 1000000)::int8, a.error_type, a.error_message, a.provider_request_id,
        json_build_array(a.prompt_tokens, a.cached_prompt_tokens, a.cache_write_5m_tokens, a.cache_write_1h_tokens,
            a.response_tokens),
        a.latency_ms, a.requests) ORDER BY a.number), '[]')::text
    FROM execution_attempts a WHERE a.execution_id = x.id) AS attempt_log
