SELECT x.prompt_tokens, x.cached_prompt_tokens, x.response_tokens, m.id AS price_id, m.input, m.cached_input, m.output,
    m.valid_from
FROM executions x JOIN model_prices m ON m.id = x.price_id WHERE x.id = :id
