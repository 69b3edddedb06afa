-- $1 executions, the first at microsecond $2, of what $3 says (`filters::found_by`).
WITH made AS (
    INSERT INTO executions (id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider,
        model_name, correlation_id, label, error_type, prompt_truncated, timeout_micros, max_retries, attempts,
        last_sequence, created_at, completed_at)
    SELECT gen_random_uuid(), p.project_id, p.id, v.id, 'full', r.row ->> 'mode', r.row ->> 'status',
        r.row ->> 'environment', r.row ->> 'provider', r.row ->> 'model_name', r.row ->> 'correlation_id',
        r.row ->> 'label', r.row ->> 'error_type', false, 1, 0, 1, 1, c.at,
        CASE WHEN (r.row ->> 'ended')::boolean THEN c.at END
    FROM generate_series(0, $1::int8 - 1) n
    CROSS JOIN LATERAL (SELECT timestamptz 'epoch' + ($2::int8 + n) * interval '1 microsecond' AS at) c
    CROSS JOIN (SELECT $3::text::jsonb AS row) r
    JOIN prompts p ON p.name = r.row ->> 'prompt'
    JOIN prompt_versions v ON v.prompt_id = p.id AND v.version_number = (r.row ->> 'version')::int4
    RETURNING id, project_id, created_at
)
INSERT INTO execution_metadata (execution_id, project_id, key, value, created_at)
SELECT m.id, m.project_id, e.key, e.value, m.created_at
FROM made m CROSS JOIN jsonb_each_text($3::text::jsonb -> 'metadata') e
