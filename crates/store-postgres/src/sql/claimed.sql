SELECT x.id, x.claim_id, x.attempts, x.handed_back, x.last_sequence, x.attempt_started_at, x.prompt_truncated,
    x.provider, x.model_name, x.temperature, x.top_k, x.top_p, x.repetition_penalty, x.max_new_tokens, x.timeout_micros,
    x.max_retries, x.prompt_tokens, x.cached_prompt_tokens, x.cache_write_5m_tokens, x.cache_write_1h_tokens,
    x.response_tokens, x.expire_at, x.stream_text, i.rendered_prompt, i.messages, i.request, x.settings,
    clock_timestamp() AS read_at, m.id AS price_id, m.input, m.cached_input, m.cache_write_5m, m.cache_write_1h, m.output,
    m.valid_from, o.supports_streaming, x.created_at, {due} AS due_at, x.correlation_id, x.trace, j.name AS project, p.name AS prompt_name,
    v.version_number
FROM {from} x
JOIN execution_inputs i ON i.execution_id = x.id
JOIN prompt_versions v ON v.id = x.version_id
JOIN prompts p ON p.id = x.prompt_id
JOIN projects j ON j.id = x.project_id
LEFT JOIN model_prices m ON m.id = x.price_id
LEFT JOIN models o ON o.provider = x.provider AND o.model_name = x.model_name
