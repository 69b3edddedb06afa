SELECT x.prompt_tokens, x.cached_prompt_tokens, x.cache_write_5m_tokens, x.cache_write_1h_tokens, x.response_tokens,
    m.id AS price_id, m.input, m.cached_input, m.cache_write_5m, m.cache_write_1h, m.output, m.valid_from
FROM executions x JOIN model_prices m ON m.id = x.price_id WHERE x.id = :id
