    prompt_tokens = iif(:prompt_tokens IS NULL, prompt_tokens,
        min(coalesce(prompt_tokens, 0) + :prompt_tokens, 2147483647)),
    cached_prompt_tokens = iif(:cached_prompt_tokens IS NULL, cached_prompt_tokens,
        min(coalesce(cached_prompt_tokens, 0) + :cached_prompt_tokens, 2147483647)),
    response_tokens = iif(:response_tokens IS NULL, response_tokens,
        min(coalesce(response_tokens, 0) + :response_tokens, 2147483647)),
    provider_request_id = :provider_request_id, latency_ms = coalesce(:latency_ms, latency_ms),
    last_sequence = last_sequence + 1
WHERE id = :id AND attempts = :attempt AND status = 'running'
RETURNING id, status, last_sequence
