    prompt_tokens = iif(job.prompt_tokens IS NULL, executions.prompt_tokens,
        min(coalesce(executions.prompt_tokens, 0) + job.prompt_tokens, 2147483647)),
    cached_prompt_tokens = iif(job.cached_prompt_tokens IS NULL, executions.cached_prompt_tokens,
        min(coalesce(executions.cached_prompt_tokens, 0) + job.cached_prompt_tokens, 2147483647)),
    response_tokens = iif(job.response_tokens IS NULL, executions.response_tokens,
        min(coalesce(executions.response_tokens, 0) + job.response_tokens, 2147483647)),
    provider_request_id = job.provider_request_id, latency_ms = coalesce(job.latency_ms, executions.latency_ms),
    last_sequence = last_sequence + 1
FROM job
WHERE executions.id = job.id AND executions.attempts = job.attempt AND executions.status = 'running'
RETURNING id, status, last_sequence
