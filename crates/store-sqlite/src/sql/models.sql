SELECT m.provider, m.model_name, m.max_tokens, m.supports_streaming, m.capabilities, m.discovered, m.created_at, m.updated_at,
    (SELECT json_group_array(json_array(id, input, cached_input, cache_write_5m, cache_write_1h, output, valid_from)
         ORDER BY valid_from DESC, created_at DESC, id DESC)
     FROM model_prices WHERE provider = m.provider AND model_name = m.model_name) AS prices
FROM models m
