INSERT INTO executions (
    id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider, model_name, price_id,
    temperature, top_k, top_p, repetition_penalty, max_new_tokens, correlation_id, idempotency_key, request_hash,
    prompt_truncated, timeout_micros, max_retries, attempts, attempt_started_at, worker, claim_id, lease_until,
    expire_at, last_sequence, created_at, started_at, available_at, stream_text,
    version_environment, retry_of, settings, needs, label, trace)
VALUES (:id, :project_id, :prompt_id, :version_id, :prompt_mode, :mode, :status, :environment, :provider, :model_name,
    :price_id, :temperature, :top_k, :top_p, :repetition_penalty, :max_new_tokens, nullif(:correlation_id, ''),
    :idempotency_key, :request_hash, :prompt_truncated, :timeout_micros, :max_retries, :attempts, :begun_at, :worker,
    :claim_id, :lease_until, :expire_at, 1, :created_at, :begun_at, :available_at, :stream_text, :version_environment,
    :retry_of, :settings, :needs, nullif(:label, ''), :trace)
ON CONFLICT DO NOTHING
