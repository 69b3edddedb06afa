    prompt_tokens = iif(:prompt_tokens IS NULL, prompt_tokens,
        min(coalesce(prompt_tokens, 0) + :prompt_tokens, 2147483647)),
    cached_prompt_tokens = iif(:cached_prompt_tokens IS NULL, cached_prompt_tokens,
        min(coalesce(cached_prompt_tokens, 0) + :cached_prompt_tokens, 2147483647)),
    cache_write_5m_tokens = iif(:cache_write_5m_tokens IS NULL, cache_write_5m_tokens,
        min(coalesce(cache_write_5m_tokens, 0) + :cache_write_5m_tokens, 2147483647)),
    cache_write_1h_tokens = iif(:cache_write_1h_tokens IS NULL, cache_write_1h_tokens,
        min(coalesce(cache_write_1h_tokens, 0) + :cache_write_1h_tokens, 2147483647)),
    response_tokens = iif(:response_tokens IS NULL, response_tokens,
        min(coalesce(response_tokens, 0) + :response_tokens, 2147483647)),
    provider_request_id = :provider_request_id, response_model = nullif(:response_model, ''),
    latency_ms = coalesce(:latency_ms, latency_ms),
    last_sequence = last_sequence + 1
WHERE id = :id AND attempts = :attempt AND status = 'running'
