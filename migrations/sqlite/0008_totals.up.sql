-- Usage of a whole project without model and environment: what most questions are about, from a few rollups an hour instead of
-- one for each model, environment, mode and status.

-- A release before would count it besides the series that it adds up.
INSERT INTO schema_compatibility (version, compatible_from) VALUES (8, 8);

-- Totals have no provider, which every other series has.
INSERT INTO usage_series (project_id, prompt_id, version_id, provider, model_name, environment, prompt_mode, status)
SELECT DISTINCT project_id, '', '', '', '', '', prompt_mode, status FROM usage_series WHERE prompt_id = '';

-- Histograms after each other are their sum.
INSERT INTO usage_rollups (series, span, start, executions, prompt_tokens, response_tokens, with_cost, cost_high, cost_low,
    latency_sum, latencies)
SELECT t.id, r.span, r.start, sum(r.executions), sum(r.prompt_tokens), sum(r.response_tokens), sum(r.with_cost),
    sum(r.cost_high), sum(r.cost_low), sum(r.latency_sum), unhex(group_concat(hex(r.latencies), ''))
FROM usage_series t
    CROSS JOIN usage_series s ON s.project_id = t.project_id AND s.prompt_id = '' AND s.provider <> ''
        AND s.prompt_mode = t.prompt_mode AND s.status = t.status
    CROSS JOIN usage_rollups r ON r.series = s.id
WHERE t.prompt_id = '' AND t.provider = ''
GROUP BY t.id, r.span, r.start;
