-- `{executions}` executions, a million of a week, until an hour ago: a thousand prompts of two versions, every fifth in tracking mode, five
-- models of which one is rare, two environments; 95 % succeeded, 4 % failed, 1 % were canceled; 1 % within the call. By
-- label, correlation id and metadata as in SQLite.
INSERT INTO prompts (id, project_id, name, mode, description, owner_team, tags, active_version_number,
    latest_version_number, revision, created_at, updated_at)
SELECT gen_random_uuid(), j.id, 'prompt-' || n, CASE WHEN n % 5 = 0 THEN 'tracking' ELSE 'full' END,
    'Says something to somebody', '', '["mail"]', 2, 2, n, now(), now()
FROM projects j, generate_series(1, 1000) n WHERE j.name = 'default';

INSERT INTO prompt_versions (id, prompt_id, version_number, status, template_source, template_format, checksum_hash,
    variables, created_by, created_at, source_repository, source_commit, source_path)
SELECT gen_random_uuid(), p.id, n, 'active', 'version ' || n, 'handlebars', n::text, '[]', '', now(), '', '', ''
FROM prompts p, generate_series(1, 2) n;

INSERT INTO executions (id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider,
    model_name, label, correlation_id, error_type, error_message, prompt_truncated, prompt_tokens, response_tokens,
    cost_nano_usd, latency_ms, timeout_micros, max_retries, attempts, last_sequence, created_at, started_at, completed_at)
SELECT lpad(to_hex(x.n), 32, '0')::uuid, v.project_id, v.prompt_id, v.id, v.mode,
    CASE WHEN x.n % 100 = 3 THEN 'sync' ELSE 'async' END,
    CASE WHEN x.fate < 0.95 THEN 'succeeded' WHEN x.fate < 0.99 THEN 'failed' ELSE 'canceled' END,
    CASE WHEN x.place < 0.1 THEN 'dev' ELSE 'prod' END, 'openai',
    CASE WHEN x.n % 10000 = 5000 THEN 'model-rare' ELSE 'model-' || v.place % 4 END,
    CASE WHEN x.place > 0.9 THEN 'production' END,
    CASE WHEN x.n % 10 = 1 THEN 'batch-' || x.n / 1000 WHEN x.n % 20 = 2 THEN 'nightly' END,
    CASE WHEN x.fate BETWEEN 0.95 AND 0.98 THEN 'timeout' WHEN x.fate BETWEEN 0.98 AND 0.99 THEN 'rate_limited' END,
    CASE WHEN x.fate BETWEEN 0.95 AND 0.99 THEN 'no' END, false,
    200 + x.n % 1000, 50 + x.n % 500, CASE WHEN v.place % 4 > 0 THEN 30000 + x.n % 100000 END,
    (200 + 8000 * power(x.taken, 4))::int4, 120000000, 3, 1, 3, x.at, x.at, x.at + interval '2 seconds'
FROM (
    SELECT n, 1 + n::int8 * 7919 % 2000 AS place_of, random() AS fate, random() AS place, random() AS taken,
        now() - interval '1 hour' - ({executions} - n) * interval '604.8 milliseconds' AS at
    FROM generate_series(1, {executions}) n
) x
JOIN (
    SELECT v.id, v.prompt_id, p.project_id, p.mode, row_number() OVER (ORDER BY p.revision, v.version_number) AS place
    FROM prompt_versions v JOIN prompts p ON p.id = v.prompt_id
) v ON v.place = x.place_of
ORDER BY x.n;

INSERT INTO execution_metadata (execution_id, project_id, key, value, created_at)
SELECT lpad(to_hex(n), 32, '0')::uuid, x.project_id, m.key, m.value, x.created_at
FROM generate_series(1, {executions}, 20) n JOIN executions x ON x.id = lpad(to_hex(n), 32, '0')::uuid
CROSS JOIN LATERAL (VALUES ('user', 'u-' || n / 20 % 1000), ('tenant', 'acme')) AS m (key, value);

ANALYZE;
