WITH grouped AS (
    SELECT CASE WHEN :bucket > 0 THEN e.created_at - e.created_at % :bucket END AS bucket_start,
        CASE WHEN :by_mode THEN e.prompt_mode END AS prompt_mode, CASE WHEN :by_prompt THEN e.prompt_id END AS prompt_id,
        CASE WHEN :by_version THEN e.version_id END AS version_id, CASE WHEN :by_model THEN e.provider END AS provider,
        CASE WHEN :by_model THEN e.model_name END AS model_name,
        CASE WHEN :by_environment THEN e.environment END AS environment, CASE WHEN :by_status THEN e.status END AS status,
        count(*) AS executions, sum(e.status = 'succeeded') AS succeeded, sum(e.status = 'failed') AS failed,
        sum(e.status = 'canceled') AS canceled, coalesce(sum(e.prompt_tokens), 0) AS prompt_tokens,
        coalesce(sum(e.response_tokens), 0) AS response_tokens, count(e.cost_nano_usd) AS with_cost,
        coalesce(sum(e.cost_nano_usd >> 32), 0) AS cost_high,
        coalesce(sum(e.cost_nano_usd & 4294967295), 0) AS cost_low,
        coalesce(sum(e.latency_ms), 0) AS latency_sum, group_concat(e.latency_ms, ' ') AS latencies
    FROM executions e INDEXED BY {index}
    WHERE {walk} AND e.created_at >= :start AND e.created_at < :stop AND e.project_id = :project
        AND (:mode IS NULL OR e.prompt_mode = :mode) AND (:prompt IS NULL OR e.prompt_id = :prompt)
        AND (:version IS NULL OR e.version_id = :version) AND (:provider = '' OR e.provider = :provider)
        AND (:model = '' OR e.model_name = :model) AND (:environment = '' OR e.environment = :environment)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
)
SELECT g.*, p.name AS prompt_name, v.version_number
FROM grouped g LEFT JOIN prompts p ON p.id = g.prompt_id LEFT JOIN prompt_versions v ON v.id = g.version_id
WHERE NOT :has_after OR (coalesce(bucket_start, 0), coalesce(g.prompt_mode, ''), coalesce(p.name, ''),
        coalesce(v.version_number, 0), coalesce(g.provider, ''), coalesce(g.model_name, ''),
        coalesce(g.environment, ''), coalesce(g.status, ''))
    > (:after_bucket, :after_mode, :after_prompt, :after_version, :after_provider, :after_model, :after_environment,
        :after_status)
ORDER BY bucket_start, g.prompt_mode, p.name, v.version_number, g.provider, g.model_name, g.environment,
    g.status
LIMIT :most
