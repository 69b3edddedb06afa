INSERT INTO executions (
    id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider, model_name, price_id,
    temperature, top_k, top_p, repetition_penalty, max_new_tokens, correlation_id, idempotency_key, request_hash,
    prompt_truncated, timeout_micros, max_retries, attempts, attempt_started_at, worker, claim_id, lease_until,
    expire_at, last_sequence, created_at, started_at, available_at, stream_text,
    version_environment, retry_of, settings, needs, label)
SELECT :id, p.project_id, p.id, v.id, p.mode, :mode, :status, :environment, :provider, :model_name, :price_id,
    :temperature, :top_k, :top_p, :repetition_penalty, :max_new_tokens, nullif(:correlation_id, ''), :idempotency_key,
    :request_hash, :prompt_truncated, :timeout_micros, :max_retries, :attempts, :begun_at, :worker, :claim_id,
    :lease_until, :expire_at, 1, :created_at, :begun_at, :available_at, :stream_text, :version_environment, :retry_of,
    :settings, :needs, nullif(:label, '')
FROM prompt_versions v CROSS JOIN prompts p ON p.id = v.prompt_id
WHERE v.id = :version_id AND p.id = :prompt_id AND p.project_id = :project_id AND p.archived_at IS NULL
    AND p.mode = :prompt_mode
    AND (NOT :must_be_active OR p.active_version_number = v.version_number)
    AND (NOT :must_be_labelled OR p.labels -> :label ->> 0 = v.version_number)
    AND (:keys_revision IS NULL
        OR :keys_revision = (SELECT revision FROM revisions WHERE scope = 'keys')
        AND :models_revision = (SELECT revision FROM revisions WHERE scope = 'models')
        AND :project_revision = (SELECT revision FROM projects WHERE id = p.project_id))
ON CONFLICT DO NOTHING
