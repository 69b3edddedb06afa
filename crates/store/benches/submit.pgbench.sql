-- What one submit writes, on the same tables, constraints and indexes, by `pgbench -n -f`: the yardstick of durable
-- submits. One row a transaction, as a client that does not batch would write it.
WITH chosen AS (
    SELECT p.id AS prompt_id, p.project_id, v.id AS version_id, p.mode
    FROM prompts p JOIN prompt_versions v ON v.prompt_id = p.id AND v.version_number = p.active_version_number
    WHERE p.name = 'greet' AND p.archived_at IS NULL
), recorded AS (
    INSERT INTO executions (
        id, project_id, prompt_id, version_id, prompt_mode, mode, status, environment, provider, model_name,
        prompt_truncated, timeout_micros, max_retries, attempts, look_at, last_sequence, created_at)
    SELECT gen_random_uuid(), project_id, prompt_id, version_id, mode, 'async', 'queued', 'dev', 'openai', 'gpt-4o-mini',
        false, 120000000, 3, 0, clock_timestamp() + interval '10 seconds', 1, clock_timestamp()
    FROM chosen
    RETURNING id, created_at
), inputs AS (
    INSERT INTO execution_inputs (execution_id, rendered_prompt, variables)
    SELECT id, 'Say hello to Ada.', '{"name":"Ada"}' FROM recorded
)
INSERT INTO execution_events (execution_id, sequence, at, to_status, attempt)
SELECT id, 1, created_at, 'queued', 0 FROM recorded;
