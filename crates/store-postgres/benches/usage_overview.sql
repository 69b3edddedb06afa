-- The figures of GetPromptAnalytics, computed from the executions.
SELECT prompt_mode, count(*), count(*) FILTER (WHERE status = 'succeeded'), count(*) FILTER (WHERE status = 'failed'),
    count(*) FILTER (WHERE status = 'canceled'), sum(prompt_tokens), sum(response_tokens), sum(cost_nano_usd),
    count(cost_nano_usd), avg(latency_ms), percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY latency_ms)
FROM executions WHERE project_id = (SELECT id FROM projects WHERE name = 'default') GROUP BY prompt_mode;
