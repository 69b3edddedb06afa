SELECT count(*) FROM executions
WHERE executions.status = 'queued' AND executions.needs <= 0 AND id IN (
    SELECT e.id FROM json_each('["openai", "echo"]') AS p CROSS JOIN executions e ON e.id IN (
        SELECT id FROM executions WHERE provider = p.value AND status = 'queued' AND available_at <= e.created_at
            AND needs <= 0 ORDER BY available_at LIMIT 9)
    ORDER BY e.available_at LIMIT 9)
