INSERT INTO execution_attempts (execution_id, number, worker, started_at, ended_at, error_type, provider_request_id,
    prompt_tokens, cached_prompt_tokens, response_tokens, latency_ms, error_message)
SELECT x.id, x.attempts, x.worker, x.attempt_started_at, job.at, job.error_type, job.provider_request_id,
    job.prompt_tokens, job.cached_prompt_tokens, job.response_tokens, job.latency_ms, job.error_message
