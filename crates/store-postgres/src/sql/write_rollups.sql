INSERT INTO usage_rollups (project_id, prompt_id, span, start, version_id, provider, model_name, environment, prompt_mode,
    status, executions, prompt_tokens, response_tokens, with_cost, cost_nano_usd, latency_sum, latencies)
SELECT * FROM unnest(:rows) AS n (project_id, prompt_id, span, start, version_id, provider, model_name, environment,
    prompt_mode, status, executions, prompt_tokens, response_tokens, with_cost, cost_nano_usd, latency_sum, latencies)
ON CONFLICT (project_id, prompt_id, span, start, version_id, provider, model_name, environment, prompt_mode, status)
DO UPDATE SET executions = excluded.executions, prompt_tokens = excluded.prompt_tokens,
    response_tokens = excluded.response_tokens, with_cost = excluded.with_cost,
    cost_nano_usd = excluded.cost_nano_usd, latency_sum = excluded.latency_sum, latencies = excluded.latencies
