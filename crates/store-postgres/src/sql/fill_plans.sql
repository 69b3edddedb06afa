INSERT INTO prompts (id, project_id, name, mode, description, owner_team, tags, active_version_number,
    latest_version_number, revision, created_at, updated_at)
SELECT gen_random_uuid(), j.id, 'p' || n, 'full', '', '', '[]', 1, 1, 1, now(), now()
FROM projects j, generate_series(1, 50) n;
INSERT INTO prompt_versions (id, prompt_id, version_number, status, template_source, template_format,
    checksum_hash, variables, created_by, created_at, source_repository, source_commit, source_path)
SELECT gen_random_uuid(), p.id, 1, 'active', '', 'handlebars', '', '[]', '', now(), '', '', '' FROM prompts p;
INSERT INTO executions (id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider,
    model_name, correlation_id, idempotency_key, request_hash, prompt_truncated, timeout_micros, max_retries,
    attempts, claim_id, lease_until, available_at, expire_at, last_sequence, created_at, completed_at)
SELECT gen_random_uuid(), p.project_id, p.id, v.id, 'full', 'async', s.status, 'dev', 'echo', 'echo', 'c' || n,
    'k' || n, '\x00', false, 1, 0, 0, gen_random_uuid(), now(), now(), now(), 1, now() - n * interval '1 second',
    CASE WHEN s.status NOT IN ('queued', 'running') THEN now() END
FROM prompts p JOIN prompt_versions v ON v.prompt_id = p.id, generate_series(1, 400) n,
    LATERAL (SELECT CASE WHEN n % 100 = 0 THEN 'queued' WHEN n % 100 = 1 THEN 'running' WHEN n % 100 = 2
        THEN 'failed' ELSE 'succeeded' END AS status) s;
INSERT INTO execution_events (execution_id, sequence, at, to_status, attempt)
SELECT id, 1, created_at, 'queued', 0 FROM executions;
INSERT INTO execution_attempts (execution_id, number, worker, started_at, ended_at, error_message,
    provider_request_id) SELECT id, 1, '', now(), now(), '', '' FROM executions;
INSERT INTO execution_inputs (execution_id, rendered_prompt, variables) SELECT id, '', '' FROM executions;
INSERT INTO usage_rollups SELECT project_id, prompt_id, s, created_at, version_id, provider, model_name, environment,
    prompt_mode, status, 1, 0, 0, 0, 0, 0, '' FROM executions, unnest(ARRAY[1, 60, 1440]) s;
INSERT INTO usage_open_executions SELECT id, project_id, created_at FROM executions WHERE completed_at IS NULL;
ANALYZE
