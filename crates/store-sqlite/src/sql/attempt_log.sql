(SELECT json_group_array(json_array(number, worker, started_at, ended_at, error_type, error_message,
     provider_request_id,
     json_array(prompt_tokens, cached_prompt_tokens, cache_write_5m_tokens, cache_write_1h_tokens, response_tokens),
     latency_ms, requests) ORDER BY number)
 FROM execution_attempts WHERE execution_id = x.id) AS attempt_log
