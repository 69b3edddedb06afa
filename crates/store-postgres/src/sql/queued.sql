SELECT (SELECT count(*) FROM (SELECT 1 FROM executions WHERE status = 'queued'
    AND available_at IS NOT NULL LIMIT $1) AS counted),
    (SELECT count(*) FROM processes WHERE id >= '' AND kind = 'server' AND NOT has_left
    AND seen_at > clock_timestamp() - $2::int8 * interval '1 microsecond')
