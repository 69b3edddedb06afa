-- `{executions}` executions, a million of a week, until an hour ago: a thousand prompts of two versions, every fifth in tracking mode, five
-- models of which one is rare, two environments; 95 % succeeded, 4 % failed, 1 % were canceled; 1 % within the call. A tenth
-- has a label, a tenth a correlation id in common with 99 others, a twentieth one in common, a twentieth metadata.
PRAGMA foreign_keys = OFF;
BEGIN;
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000)
INSERT INTO prompts (id, project_id, name, mode, description, owner_team, tags, active_version_number,
    latest_version_number, revision, created_at, updated_at)
SELECT printf('00000000-0000-4000-8000-%012x', n), j.id, 'prompt-' || n, iif(n % 5 = 0, 'tracking', 'full'),
    'Says something to somebody', '', '["mail"]', 2, 2, n, 0, 0
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
    UNION ALL SELECT n + 1, abs(random()) % 1000, abs(random()) % 1000, abs(random()) % 1000 FROM n WHERE n < {executions}
), x AS (
    SELECT *, 1 + n * 7919 % 2000 AS version,
        (unixepoch() - 3600) * 1000000 - ({executions} - n) * 604800 AS at
    FROM n
)
INSERT INTO executions (id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider,
    model_name, label, correlation_id, error_type, error_message, prompt_truncated, prompt_tokens, response_tokens,
    cost_nano_usd, latency_ms, timeout_micros, max_retries, attempts, last_sequence, created_at, started_at, completed_at, version_environment)
SELECT printf('00000000-0000-7000-8000-%012x', n), j.id, printf('00000000-0000-4000-8000-%012x', (version + 1) / 2),
    printf('00000000-0000-4000-9000-%012x', version), iif((version + 1) / 2 % 5 = 0, 'tracking', 'full'),
    iif(n % 100 = 3, 'sync', 'async'),
    iif(fate < 950, 'succeeded', iif(fate < 990, 'failed', 'canceled')), iif(place < 100, 'dev', 'prod'), 'openai',
    iif(n % 10000 = 5000, 'model-rare', 'model-' || version % 4), iif(place >= 900, 'production', NULL),
    CASE WHEN n % 10 = 1 THEN 'batch-' || n / 1000 WHEN n % 20 = 2 THEN 'nightly' END,
    CASE WHEN fate BETWEEN 950 AND 979 THEN 'timeout' WHEN fate BETWEEN 980 AND 989 THEN 'rate_limited' END,
    iif(fate BETWEEN 950 AND 989, 'no', NULL), 0, 200 + n % 1000, 50 + n % 500,
    iif(version % 4 > 0, 30000 + n % 100000, NULL),
    200 + 8 * taken * taken / 1000 * taken / 1000, 120000000, 3, 1, 3, at, at, at + 2000000,
    (SELECT w.id FROM version_environments w
        WHERE w.prompt_id = printf('00000000-0000-4000-8000-%012x', (version + 1) / 2)
            AND w.version_id = printf('00000000-0000-4000-9000-%012x', version)
            AND w.environment = iif(place < 100, 'dev', 'prod'))
FROM x CROSS JOIN projects j WHERE j.name = 'default';

WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 20 FROM n WHERE n + 20 <= {executions})
INSERT INTO execution_metadata (execution_id, project_id, key, value, created_at)
SELECT x.id, x.project_id, m.key, iif(m.key = 'user', 'u-' || n / 20 % 1000, m.value), x.created_at
FROM n CROSS JOIN executions x ON x.id = printf('00000000-0000-7000-8000-%012x', n)
    CROSS JOIN json_each('{"user": "", "tenant": "acme"}') m;
COMMIT;
