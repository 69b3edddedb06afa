WITH made AS (
    INSERT INTO executions (
        id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider, model_name,
        price_id, temperature, top_k, top_p, repetition_penalty, max_new_tokens, correlation_id, idempotency_key,
        request_hash, settings, needs, label, prompt_truncated, timeout_micros, max_retries, stream_text,
        attempts, attempt_started_at, started_at, worker, claim_id, lease_until, available_at, expire_at, last_sequence, created_at,
        trace)
    SELECT n.id, p.project_id, p.id, v.id, p.mode,
        CASE WHEN n.claim_id IS NULL THEN 'async' ELSE 'sync' END,
        CASE WHEN n.claim_id IS NULL THEN 'queued' ELSE 'running' END,
        n.environment, n.provider, n.model_name,
        n.price_id, n.temperature, n.top_k, n.top_p, n.repetition_penalty, n.max_new_tokens,
        nullif(n.correlation_id, ''), n.idempotency_key, n.request_hash, n.settings, n.needs, nullif(n.label, ''),
        n.prompt_truncated, n.timeout_micros,
        n.max_retries, n.stream_text, CASE WHEN n.claim_id IS NULL THEN 0 ELSE 1 END,
        CASE WHEN n.claim_id IS NOT NULL THEN t.at END, CASE WHEN n.claim_id IS NOT NULL THEN t.at END,
        n.worker, n.claim_id,
        CASE WHEN n.claim_id IS NOT NULL THEN t.at + n.reserved * interval '1 microsecond' END,
        CASE WHEN n.claim_id IS NULL THEN t.at + n.reserved * interval '1 microsecond' END,
        t.at + n.life * interval '1 microsecond', 1, t.at, n.trace
    FROM unnest(:rows)
        AS n (id, project_id, prompt_id, version_id, must_be_active, environment, provider, model_name,
            price_id, temperature, top_k, top_p, repetition_penalty, max_new_tokens, correlation_id,
            idempotency_key, request_hash, settings, needs, label, must_be_labelled, prompt_truncated, timeout_micros, max_retries,
            stream_text, worker, claim_id, reserved, life, trace, prompt_mode, keys_revision, models_revision, project_revision)
    JOIN prompt_versions v ON v.id = n.version_id
    JOIN prompts p ON p.id = v.prompt_id
    CROSS JOIN (SELECT clock_timestamp() AS at) t
    WHERE p.id IS NOT DISTINCT FROM n.prompt_id AND p.project_id IS NOT DISTINCT FROM n.project_id AND p.archived_at IS NULL
        AND p.mode IS NOT DISTINCT FROM n.prompt_mode
        AND (NOT n.must_be_active OR p.active_version_number = v.version_number)
        AND (NOT n.must_be_labelled OR (p.labels::jsonb -> n.label ->> 0)::int4 = v.version_number)
        AND (n.keys_revision IS NULL
            OR n.keys_revision = (SELECT r.revision FROM revisions r WHERE r.scope = 'keys')
            AND n.models_revision = (SELECT r.revision FROM revisions r WHERE r.scope = 'models')
            AND n.project_revision = (SELECT j.revision FROM projects j WHERE j.id = p.project_id))
    ORDER BY n.prompt_id, n.idempotency_key COLLATE "C"
    ON CONFLICT DO NOTHING
    RETURNING id, created_at, status, attempts
), inputs AS (
    INSERT INTO execution_inputs (execution_id, rendered_prompt, messages, variables, request)
    SELECT i.id, i.rendered_prompt, i.messages, i.variables, i.request
    FROM unnest(:rows) AS i (id, rendered_prompt, messages, variables, request)
    WHERE i.id = ANY (ARRAY(SELECT id FROM made))
), metadata AS (
    INSERT INTO execution_metadata (execution_id, project_id, key, value, created_at)
    SELECT m.id, m.project_id, d.key, d.value, (SELECT o.created_at FROM made o WHERE o.id = m.id)
    FROM unnest(:rows) AS m (id, project_id, metadata) CROSS JOIN LATERAL jsonb_each_text(m.metadata::jsonb) AS d (key, value)
    WHERE m.metadata IS NOT NULL AND m.id = ANY (ARRAY(SELECT id FROM made))
), events AS (
    INSERT INTO execution_events (execution_id, sequence, at, to_status, attempt)
    SELECT id, 1, created_at, status, attempts FROM made
)
SELECT id, created_at AS at, status AS to_status, attempts AS attempt FROM made
