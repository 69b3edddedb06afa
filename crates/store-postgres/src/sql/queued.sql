SELECT q.queued, q.waited,
    (SELECT count(*) FROM processes WHERE id >= '' AND kind = 'server' AND NOT has_left
    AND seen_at > clock_timestamp() - $2::int8 * interval '1 microsecond')
FROM (SELECT count(*) AS queued, (extract(epoch FROM clock_timestamp() - min(available_at)) * 1000000)::int8 AS waited
    FROM (SELECT available_at FROM executions
        WHERE status = 'queued' AND available_at IS NOT NULL LIMIT $1) AS counted) AS q
