-- A million executions of a week, until an hour ago: fifty prompts of two versions, every fifth in tracking mode, four
-- models, two environments; 95 % succeeded, 4 % failed, 1 % were canceled.
INSERT INTO prompts (id, project_id, name, mode, description, owner_team, tags, active_version_number,
    latest_version_number, revision, created_at, updated_at)
SELECT gen_random_uuid(), j.id, 'prompt-' || n, CASE WHEN n % 5 = 0 THEN 'tracking' ELSE 'full' END, '', '', '[]', 2, 2,
    n, now(), now()
FROM projects j, generate_series(1, 50) n WHERE j.name = 'default';

INSERT INTO prompt_versions (id, prompt_id, version_number, status, template_source, template_format, checksum_hash,
    variables, created_by, created_at, source_repository, source_commit, source_path)
SELECT gen_random_uuid(), p.id, n, 'active', 'version ' || n, 'handlebars', n::text, '[]', '', now(), '', '', ''
FROM prompts p, generate_series(1, 2) n;

INSERT INTO executions (id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider,
    model_name, prompt_truncated, prompt_tokens, response_tokens, cost_nano_usd, latency_ms, timeout_micros, max_retries,
    attempts, last_sequence, created_at, started_at, completed_at)
SELECT lpad(to_hex(x.n), 32, '0')::uuid, v.project_id, v.prompt_id, v.id, v.mode, 'async',
    CASE WHEN x.fate < 0.95 THEN 'succeeded' WHEN x.fate < 0.99 THEN 'failed' ELSE 'canceled' END,
    CASE WHEN x.place < 0.1 THEN 'dev' ELSE 'prod' END, 'openai', 'model-' || v.place % 4, false,
    200 + x.n % 1000, 50 + x.n % 500, CASE WHEN v.place % 4 > 0 THEN 30000 + x.n % 100000 END,
    (200 + 8000 * power(x.taken, 4))::int4, 120000000, 3, 1, 3, x.at, x.at, x.at + interval '2 seconds'
FROM (
    SELECT n, 1 + n % 100 AS place_of, random() AS fate, random() AS place, random() AS taken,
        now() - interval '1 hour' - (1000000 - n) * interval '604.8 milliseconds' AS at
    FROM generate_series(1, 1000000) n
) x
JOIN (
    SELECT v.id, v.prompt_id, p.project_id, p.mode, row_number() OVER (ORDER BY p.revision, v.version_number) AS place
    FROM prompt_versions v JOIN prompts p ON p.id = v.prompt_id
) v ON v.place = x.place_of
ORDER BY x.n;

ANALYZE;
