WITH RECURSIVE heads AS (
    (SELECT provider, available_at FROM executions WHERE status = 'queued' AND available_at IS NOT NULL
    ORDER BY provider, available_at LIMIT 1)
    UNION ALL
    SELECT n.provider, n.available_at FROM heads h CROSS JOIN LATERAL (
        SELECT e.provider, e.available_at FROM executions e
        WHERE e.status = 'queued' AND e.available_at IS NOT NULL AND e.provider > h.provider
        ORDER BY e.provider, e.available_at LIMIT 1) n
)
SELECT (SELECT count(*) FROM (SELECT 1 FROM executions WHERE status = 'queued' AND available_at IS NOT NULL LIMIT $1) AS counted),
    (SELECT (extract(epoch FROM clock_timestamp() - min(available_at)) * 1000000)::int8 FROM heads),
    (SELECT count(*) FROM processes WHERE id >= '' AND kind = 'server' AND NOT has_left
    AND seen_at > clock_timestamp() - $2::int8 * interval '1 microsecond')
