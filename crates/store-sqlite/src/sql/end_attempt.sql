INSERT INTO execution_attempts (execution_id, number, worker, started_at, ended_at, error_type, provider_request_id,
    prompt_tokens, cached_prompt_tokens, cache_write_5m_tokens, cache_write_1h_tokens, response_tokens, latency_ms,
    error_message, requests)
SELECT id, attempts, worker, attempt_started_at, :at, :error_type, :provider_request_id, :prompt_tokens,
    :cached_prompt_tokens, :cache_write_5m_tokens, :cache_write_1h_tokens, :response_tokens, :latency_ms,
    :error_message, :requests
FROM executions WHERE id = :id AND attempts = :attempt AND status = 'running'
