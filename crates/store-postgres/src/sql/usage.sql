WITH source AS (
    SELECT u.start AS at, u.prompt_id, u.version_id, u.provider, u.model_name, u.environment, u.prompt_mode, u.status,
        u.executions, u.prompt_tokens, u.response_tokens, u.with_cost, u.cost_nano_usd, u.latency_sum,
        u.latencies AS steps, NULL::bytea AS latency
    FROM (SELECT unnest(:rollups_of::uuid[]) AS prompt_id
        UNION ALL SELECT p.id FROM prompts p WHERE :all_prompts AND p.project_id = :project) w
    CROSS JOIN unnest(:spans::int2[], :span_starts::timestamptz[], :span_stops::timestamptz[]) AS r (span, start, stop)
    CROSS JOIN LATERAL (SELECT x.* FROM usage_rollups x WHERE x.project_id = :project AND x.prompt_id = w.prompt_id
        AND x.span = r.span AND x.start >= r.start AND x.start < r.stop OFFSET 0) u
    UNION ALL
    {single}
    FROM unnest(:raw_starts::timestamptz[], :raw_stops::timestamptz[]) AS r (start, stop)
    CROSS JOIN LATERAL (SELECT x.* FROM executions x WHERE x.project_id = :project AND x.created_at >= r.start
        AND x.created_at < r.stop OFFSET 0) e
    UNION ALL
    {single}
    FROM usage_open_executions s CROSS JOIN LATERAL (SELECT x.* FROM executions x WHERE x.id = s.execution_id OFFSET 0) e
    WHERE s.project_id = :project AND s.created_at >= :open_start AND s.created_at < :open_stop
), grouped AS (
    SELECT date_trunc(:bucket, at + make_interval(mins => :utc_offset), 'UTC') - make_interval(mins => :utc_offset)
            AS bucket_start, CASE WHEN :by_mode THEN prompt_mode END AS prompt_mode,
        CASE WHEN :by_prompt THEN prompt_id END AS prompt_id, CASE WHEN :by_version THEN version_id END AS version_id,
        CASE WHEN :by_model THEN provider END AS provider, CASE WHEN :by_model THEN model_name END AS model_name,
        CASE WHEN :by_environment THEN environment END AS environment, CASE WHEN :by_status THEN status END AS status,
        sum(executions)::int8 AS executions,
        coalesce(sum(executions) FILTER (WHERE source.status = 'succeeded'), 0)::int8 AS succeeded,
        coalesce(sum(executions) FILTER (WHERE source.status = 'failed'), 0)::int8 AS failed,
        coalesce(sum(executions) FILTER (WHERE source.status = 'canceled'), 0)::int8 AS canceled,
        sum(prompt_tokens)::int8 AS prompt_tokens, sum(response_tokens)::int8 AS response_tokens,
        sum(with_cost)::int8 AS with_cost, sum(cost_nano_usd)::text AS cost, sum(latency_sum)::int8 AS latency_sum,
        string_agg(steps, '') FILTER (WHERE :with_latencies) AS steps,
        string_agg(latency, '') FILTER (WHERE :with_latencies) AS latencies
    FROM source
    WHERE (:mode::text IS NULL OR source.prompt_mode = :mode) AND (:prompt::uuid IS NULL OR source.prompt_id = :prompt)
        AND (:version::uuid IS NULL OR source.version_id = :version) AND (:provider = '' OR source.provider = :provider)
        AND (:model = '' OR source.model_name = :model) AND (:environment = '' OR source.environment = :environment)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
), named AS (
    SELECT g.*, p.name AS prompt_name, v.version_number
    FROM grouped g LEFT JOIN prompts p ON p.id = g.prompt_id LEFT JOIN prompt_versions v ON v.id = g.version_id
)
SELECT * FROM named
WHERE NOT :has_after OR (coalesce(bucket_start, '-infinity'), coalesce(prompt_mode, ''), coalesce(prompt_name, ''),
        coalesce(version_number, 0), coalesce(provider, ''), coalesce(model_name, ''), coalesce(environment, ''),
        coalesce(status, ''))
    > (coalesce(:after_bucket, '-infinity'::timestamptz), :after_mode, :after_prompt, :after_version::int4, :after_provider,
        :after_model, :after_environment, :after_status)
ORDER BY bucket_start, prompt_mode, prompt_name, version_number, provider, model_name, environment, status LIMIT :most
