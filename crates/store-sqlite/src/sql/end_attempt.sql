INSERT INTO execution_attempts (execution_id, number, worker, started_at, ended_at, error_type, provider_request_id,
    prompt_tokens, cached_prompt_tokens, cache_write_5m_tokens, cache_write_1h_tokens, response_tokens, latency_ms,
    error_message, requests)
VALUES (:id, :attempt, :held_by, :held_since, :at, :error_type, :provider_request_id, :prompt_tokens,
    :cached_prompt_tokens, :cache_write_5m_tokens, :cache_write_1h_tokens, :response_tokens, :latency_ms,
    :error_message, :requests)
