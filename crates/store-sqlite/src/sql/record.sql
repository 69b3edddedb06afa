INSERT INTO executions (
    id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider, model_name, price_id,
    temperature, top_k, top_p, repetition_penalty, max_new_tokens, correlation_id, idempotency_key, request_hash,
    prompt_truncated, timeout_micros, max_retries, attempts, attempt_started_at, worker, claim_id, lease_until,
    expire_at, last_sequence, created_at, started_at, available_at, stream_text)
SELECT job.id, p.project_id, p.id, v.id, p.mode, job.mode, job.status, job.environment, job.provider,
    job.model_name, job.price_id, job.temperature, job.top_k, job.top_p, job.repetition_penalty,
    job.max_new_tokens, nullif(job.correlation_id, ''), job.idempotency_key, job.request_hash,
    job.prompt_truncated, job.timeout_micros, job.max_retries, job.attempts, job.begun_at, job.worker,
    job.claim_id, job.lease_until, job.expire_at, 1, job.created_at, job.begun_at, job.available_at, job.stream_text
FROM job CROSS JOIN prompt_versions v ON v.id = job.version_id CROSS JOIN prompts p ON p.id = v.prompt_id
WHERE p.id = job.prompt_id AND p.project_id = job.project_id AND p.archived_at IS NULL
    AND p.mode = job.prompt_mode
    AND (NOT job.must_be_active OR p.active_version_number = v.version_number)
ON CONFLICT DO NOTHING
