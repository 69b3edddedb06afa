SELECT e.project_id, e.prompt_id, date_trunc('minute', e.created_at, 'UTC') AS start, e.version_id, e.provider,
    e.model_name, e.environment, e.prompt_mode, e.status, count(*) AS executions,
    coalesce(sum(e.prompt_tokens), 0)::int8 AS prompt_tokens, coalesce(sum(e.response_tokens), 0)::int8 AS response_tokens,
    count(e.cost_nano_usd) AS with_cost, coalesce(sum(e.cost_nano_usd), 0)::text AS cost,
    coalesce(sum(e.latency_ms), 0)::int8 AS latency_sum, string_agg(int4send(e.latency_ms), '') AS latencies
FROM {from} e
WHERE e.completed_at IS NOT NULL
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
