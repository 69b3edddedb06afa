-- A million executions of a week, until an hour ago: a thousand prompts of two versions, every fifth in tracking mode,
-- four models, two environments; 95 % succeeded, 4 % failed, 1 % were canceled.
PRAGMA foreign_keys = OFF;
BEGIN;
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000)
INSERT INTO prompts (id, project_id, name, mode, description, owner_team, tags, active_version_number,
    latest_version_number, revision, created_at, updated_at)
SELECT printf('00000000-0000-4000-8000-%012x', n), j.id, 'prompt-' || n, iif(n % 5 = 0, 'tracking', 'full'), '', '',
    '[]', 2, 2, n, 0, 0
FROM projects j CROSS JOIN n WHERE j.name = 'default';

WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2000)
INSERT INTO prompt_versions (id, prompt_id, version_number, status, template_source, template_format, checksum_hash,
    variables, created_by, created_at, source_repository, source_commit, source_path)
SELECT printf('00000000-0000-4000-9000-%012x', n), printf('00000000-0000-4000-8000-%012x', (n + 1) / 2), 2 - n % 2,
    'active', 'version ' || n, 'handlebars', n, '[]', '', 0, '', '', ''
FROM n;

INSERT INTO version_environments (id, prompt_id, version_id, environment)
SELECT 2 * v.rowid + (e.value = 'dev'), v.prompt_id, v.id, e.value
FROM prompt_versions v CROSS JOIN json_each('["dev", "prod"]') e;

WITH RECURSIVE n (n, fate, place, taken) AS (
    SELECT 1, abs(random()) % 1000, abs(random()) % 1000, abs(random()) % 1000
    UNION ALL SELECT n + 1, abs(random()) % 1000, abs(random()) % 1000, abs(random()) % 1000 FROM n WHERE n < 1000000
), x AS (
    SELECT *, 1 + n * 7919 % 2000 AS version,
        (unixepoch() - 3600) * 1000000 - (1000000 - n) * 604800 AS at
    FROM n
)
INSERT INTO executions (id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider,
    model_name, prompt_truncated, prompt_tokens, response_tokens, cost_nano_usd, latency_ms, timeout_micros,
    max_retries, attempts, last_sequence, created_at, started_at, completed_at, version_environment)
SELECT printf('00000000-0000-7000-8000-%012x', n), j.id, printf('00000000-0000-4000-8000-%012x', (version + 1) / 2),
    printf('00000000-0000-4000-9000-%012x', version), iif((version + 1) / 2 % 5 = 0, 'tracking', 'full'), 'async',
    iif(fate < 950, 'succeeded', iif(fate < 990, 'failed', 'canceled')), iif(place < 100, 'dev', 'prod'), 'openai',
    'model-' || version % 4, 0, 200 + n % 1000, 50 + n % 500, iif(version % 4 > 0, 30000 + n % 100000, NULL),
    200 + 8 * taken * taken / 1000 * taken / 1000, 120000000, 3, 1, 3, at, at, at + 2000000,
    (SELECT w.id FROM version_environments w
        WHERE w.prompt_id = printf('00000000-0000-4000-8000-%012x', (version + 1) / 2)
            AND w.version_id = printf('00000000-0000-4000-9000-%012x', version)
            AND w.environment = iif(place < 100, 'dev', 'prod'))
FROM x CROSS JOIN projects j WHERE j.name = 'default';
COMMIT;
