SELECT count(*) FROM (
    SELECT d.* FROM unnest(ARRAY['openai', 'echo']) AS p (provider) CROSS JOIN LATERAL (
        SELECT e.id, e.available_at AS due_at FROM executions e
        WHERE e.provider = p.provider AND e.status = 'queued' AND e.available_at <= (SELECT clock_timestamp())
            AND e.needs <= 0
        ORDER BY e.available_at LIMIT 9 FOR NO KEY UPDATE OF e SKIP LOCKED
    ) d ORDER BY d.due_at LIMIT 9
) due
